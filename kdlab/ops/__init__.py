"""Tensor steps that are no loss: pure functions on tensors."""
