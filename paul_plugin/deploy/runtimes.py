"""The names of what computes descriptors; apart, as a command line is read without torch."""

RUNTIMES = ('auto', 'onnx', 'torch')
