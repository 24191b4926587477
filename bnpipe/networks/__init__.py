"""The networks: products, normalizations, nonlinearities, and what a seed draws."""
