"""Training: the loop, its checkpoints, its history, and who is told."""
