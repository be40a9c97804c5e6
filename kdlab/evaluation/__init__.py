"""A model's predictions and their metrics."""
