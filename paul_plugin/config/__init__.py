"""The keys of a run, read and checked."""
