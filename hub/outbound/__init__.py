"""Requests of the hub's own to addresses that somebody else has chosen: one rule, and one way to make them."""
