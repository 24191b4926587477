"""Training: from a stack of runs to a run record."""
