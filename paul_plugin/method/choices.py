"""The names by which a config chooses among variants; apart, as a command line is read without importing torch."""

PATCH_SOURCES = ('pgn', 'stripe', 'band', 'random')
SURROGATE = 'surrogate_positive'  # the name of the pairs' transform among those of torchreid's data manager
TRANSFORMATIONS = ('crop', 'rotation', 'colour')
