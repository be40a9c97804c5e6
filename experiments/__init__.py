"""Grids of the papers' tables, sweeps, the embedded corpus's making, and benchmarks."""
