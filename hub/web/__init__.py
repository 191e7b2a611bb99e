"""The HTTP side of the hub: the API, the webhook door and the dashboard on one Starlette application."""
