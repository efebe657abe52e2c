"""The names among which a config or a command line chooses; apart, as both are read without torch."""

PATCH_SOURCES = ('pgn', 'stripe', 'band', 'random')
SURROGATE = 'surrogate_positive'  # the name of the pairs' transform among those of torchreid's data manager
TRANSFORMATIONS = ('crop', 'rotation', 'colour')
CHECKPOINT_FORMATS = ('torchreid', 'release')  # that checkpoints are converted between
RUNTIMES = ('auto', 'onnx', 'torch')  # what computes descriptors
