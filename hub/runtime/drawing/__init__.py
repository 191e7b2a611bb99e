"""What a flow does, found out by calling it while its tasks are only noted."""
