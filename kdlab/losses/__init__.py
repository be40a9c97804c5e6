"""Losses: pure functions, tensors in, scalar out."""
