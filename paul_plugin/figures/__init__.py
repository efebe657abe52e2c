"""Pictures, which know no run."""
