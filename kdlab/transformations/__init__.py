"""What augmenters and attacks do to a text."""
