"""AD²: tables of the paper, and the gap that its perturbation makes."""
