"""Any HTTP API that an OpenAPI document describes: its operations as calls that are checked before they are made."""
