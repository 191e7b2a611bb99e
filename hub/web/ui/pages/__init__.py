"""The dashboard's pages, one module a noun. Each declares its table of pages; `all_pages` puts them together."""
