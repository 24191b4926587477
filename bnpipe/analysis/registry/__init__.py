"""The registry: every claim of the analysis plan and how it is measured."""
