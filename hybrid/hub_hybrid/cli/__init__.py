"""The commands `hub cloud` and `hub sites`."""
