"""How fast each part of the method is, and how much memory it takes, against a plain implementation."""
