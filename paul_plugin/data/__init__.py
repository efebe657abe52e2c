"""Crops: read, listed, loaded, described, rendered."""
