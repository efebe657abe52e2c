"""Every command line: what each verb takes, and what it does with it."""
