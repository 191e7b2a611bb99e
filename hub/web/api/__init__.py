"""The HTTP API `/api/v1`: a small typed endpoint layer and the resources built on it."""
