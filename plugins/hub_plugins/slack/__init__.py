"""Slack: messages, threads, files, alerts with a button. What Slack tells the hub comes through the preset `slack`."""
