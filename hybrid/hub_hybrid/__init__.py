"""Hybrid: a site reports to a plane over hub-sync/1, and takes commands from it. Both ends live here."""
