"""Alembic's stream: one for all parts of the hub."""
