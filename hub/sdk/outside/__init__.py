"""Tasks that are no Python functions: programs, HTTP requests, containers. Loaded when one is made."""
