"""Everything that is decided before any training."""
