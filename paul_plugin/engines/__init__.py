"""The paper's two training stages as engines of torchreid, and what they share."""
