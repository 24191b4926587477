"""What measures speed and cost; `make bench` runs it. Never part of the tests."""
