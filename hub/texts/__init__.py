"""Texts for people: written for a format, escaped so that a payload stays text, cut to what a service takes.

Templates that a user wrote are rendered in a sandbox, which is executed in a process that can be ended: `renderer`.
"""
