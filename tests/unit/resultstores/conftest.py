"""The real thing behind every result store."""

from tests.resultstores import result_store, s3_endpoint

__all__ = ["result_store", "s3_endpoint"]
