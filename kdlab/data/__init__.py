"""Tasks, where their examples come from, and how they become batches."""
