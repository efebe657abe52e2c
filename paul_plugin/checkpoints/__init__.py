"""Files of weights and of interrupted runs."""
