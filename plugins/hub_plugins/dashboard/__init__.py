"""The dashboard as a plugin: switched off by `HUB_PLUGINS=-dashboard` like any other."""
