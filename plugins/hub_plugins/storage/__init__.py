"""Where results can be kept, and the connections that say how to get there."""
