"""The programs: what each takes on its command line, and what it does with it."""
