"""CILDA: whether its generator attacks."""
