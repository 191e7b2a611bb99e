"""GitHub: what a flow does there. What GitHub tells the hub comes through the webhook preset of the same name."""
