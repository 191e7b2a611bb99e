"""RabbitMQ, Redis streams and MQTT as sources: connections, presets, consumers."""
