"""The configuration, the stacks of runs that it asks for, and the paths of their files."""
