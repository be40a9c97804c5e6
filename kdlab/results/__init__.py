"""Records: one run, one folder; tables over seeds."""
