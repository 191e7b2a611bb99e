"""Alerts: from what happened to a message that reaches a person, with every attempt on record."""
