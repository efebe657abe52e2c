"""The page about a run, and the pictures on it."""
