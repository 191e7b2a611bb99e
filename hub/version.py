"""The product's version, read by the build back end and by `hub --version`."""

__version__ = "0.1.0"
