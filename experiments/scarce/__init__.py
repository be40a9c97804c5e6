"""What to do where data is scarce: how long to train, and what chooses the checkpoint."""
