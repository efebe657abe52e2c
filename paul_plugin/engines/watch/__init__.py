"""What looks on while an engine trains: each observer holds its own state, and a checkpoint saves it."""
