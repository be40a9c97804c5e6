"""Studies over runs: grids."""
