"""First-party webhook presets: one YAML file for each provider, no code."""
