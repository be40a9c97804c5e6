"""Studies over runs: a paper's table as a file, run, shown and judged."""
