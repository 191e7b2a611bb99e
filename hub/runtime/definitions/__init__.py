"""Definitions in a file: what `hub.yaml` declares, compared with what is there and made so by commands."""
