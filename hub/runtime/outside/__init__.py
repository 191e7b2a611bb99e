"""What tasks do that are no Python functions: programs, HTTP requests, containers."""
