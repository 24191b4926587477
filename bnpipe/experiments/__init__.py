"""Experiments that are more than a grid of conditions: each trains or measures, and writes a table."""
