"""Encoders behind one face, checkpoints, and students made of a donor's layers."""
