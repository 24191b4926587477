"""What everything else uses and what itself uses nothing else: records, settings, files, errors, digests."""
