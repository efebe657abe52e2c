"""A model leaves: exported, applied to a folder, reduced, searched with."""
