"""Which distance means the same person: pairs, thresholds between them, their pictures and tables."""
