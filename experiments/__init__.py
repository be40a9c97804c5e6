"""Grids of the papers' tables, sweeps, the embedded corpus's making, and benchmarks."""

import os

# as the kdlab command does, and before a program of this folder imports torch, which reads it then
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
