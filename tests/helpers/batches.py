"""A batch as our engines take it."""

from paul_plugin.data.loaders import seeded_loader


def batch_of(engine) -> dict:
    """The first batch of an epoch, each image with its row in the memory bank."""
    return next(iter(seeded_loader(engine.datamanager.train_loader, seed=1)))
