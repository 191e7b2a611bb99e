"""The dashboard's pages of alerting: alerts, deliveries, channels, routes, silences, inhibitions."""
