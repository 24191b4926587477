"""What all else uses and what uses nothing else: records, settings, files, errors, provenance."""
