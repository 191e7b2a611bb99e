"""Secrets that are kept elsewhere: in the environment, in files, in HashiCorp Vault."""
