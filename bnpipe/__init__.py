"""Controlled experiments on batch normalization: from a configuration to a report with statistics."""

__version__ = "0.1.0"
