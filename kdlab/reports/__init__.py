"""Pages and figures over many records."""
