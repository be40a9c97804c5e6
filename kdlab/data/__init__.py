"""Tasks, the sources of their examples, and batches."""
