"""One run from a config, and a finished one opened again."""
