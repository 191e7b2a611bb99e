"""The webhook engine: presets as data, and pure functions that judge one request by them.

Nothing here knows a store, a clock or a web framework: a request, secrets and the time come in, a verdict
goes out.
"""
