"""The plane's pages of the dashboard."""
