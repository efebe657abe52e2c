"""What a run records in each epoch, and the titles under which pictures and tables show it."""

from ..runtime.errors import printable

# What a run writes -> its title and the factor that it is shown with, in the order of the report and the curves.
_QUANTITIES = {
    'mAP': ('mAP, %', 100),
    'rank1': ('Rank-1, %', 100),
    'agreement': ('Patch agreement', 1),
    'effective_rank': ('Effective rank of descriptors', 1),
    'mutuality': ('Camera mutuality', 1),
    'mixing': ('Camera mixing', 1),
    'loss': ('Loss', 1),
    'pedal': ('PEDAL', 1),
    'ipfl': ('IPFL', 1),
    'loss_x': ('Cross entropy', 1),
    'loss_t': ('Triplet loss', 1),
    'acc': ('Training accuracy, %', 1),
    'mined': ('Anchors with a mined negative, %', 100),
    'recall': ('Patches that find themselves, %', 100),
    'cosine': ('Mean cosine in the memory bank', 1),
    'positives': ('Positives of an image', 1),
    'other_cameras': ('Positives in other cameras', 1),
    'without': ('Images without positives, %', 100),
    'lr': ('Learning rate', 1),
}


def quantities(history: list[dict[str, float]]) -> list[str]:
    """The names of the numbers in a history, the epoch's own left out: known ones first, in a fixed order."""
    found = dict.fromkeys(name for entry in history for name in entry if name != 'epoch')
    return [name for name in _QUANTITIES if name in found] + [name for name in found if name not in _QUANTITIES]


def titled(quantity: str) -> tuple[str, float]:
    """A quantity's title and the factor that it is shown with.

    Example:
        >>> titled('mAP')
        ('mAP, %', 100)
    """
    return _QUANTITIES.get(quantity, (printable(quantity), 1))
