"""Figures from tables, in one style: readable in print, at column width, and for colour-blind readers."""
