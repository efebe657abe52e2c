"""The version of the package, apart, so that it is told without importing torch."""

__version__ = '0.1.0'
