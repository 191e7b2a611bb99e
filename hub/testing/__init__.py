"""What helps to try the hub out and to test what is built on it."""
