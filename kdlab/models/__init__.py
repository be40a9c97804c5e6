"""Encoders behind one interface, checkpoints, and students made of a donor's layers."""
