"""Sets out of domain: what they are, and their examples."""
