"""Where examples are read from: GLUE folders, the hub, a user's own task file."""
