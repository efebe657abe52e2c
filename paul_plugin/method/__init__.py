"""The paper, in plain torch, one file an idea."""
