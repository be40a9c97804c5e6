"""What methods share: players, settings, loss terms, matched layers."""
