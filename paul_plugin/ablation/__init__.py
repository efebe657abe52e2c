"""The paper's tables: planned, run, shown."""
