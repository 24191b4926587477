"""Stacks of networks in PyTorch: on a GPU, and as the reference for the compiled ones."""
