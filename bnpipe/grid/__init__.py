"""What is asked for: the configuration, the stacks of runs that it plans, and where their files are."""
