"""The pages, and what is on them."""
