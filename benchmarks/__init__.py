"""Measurements of speed and cost, and `error_rates`, which simulates how often the rule for verdicts errs."""
