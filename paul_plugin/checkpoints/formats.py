"""The names of the formats that checkpoints are converted between; apart, as a command line is read without torch."""

CHECKPOINT_FORMATS = ('torchreid', 'release')
