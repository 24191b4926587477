"""The pages and what stands on them."""
