"""Three small camera networks, drawn by a program."""
