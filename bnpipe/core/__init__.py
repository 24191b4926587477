"""What the rest of the package imports and what imports none of it: records, settings, files, errors, digests."""
