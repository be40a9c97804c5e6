"""Readers of examples: GLUE folders, the hub, a user's own task file."""
