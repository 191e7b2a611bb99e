"""SQL databases: query, change, load and watch, with SQLAlchemy."""
