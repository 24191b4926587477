"""From run records to tables, and from tables to verdicts."""
