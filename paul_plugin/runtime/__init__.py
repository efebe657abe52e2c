"""What any long-running process needs."""
