"""All pictures of a finished run, as its report shows them."""

from collections.abc import Callable

from ..run.trained import Trained
from ..runtime.errors import UserError
from .embedding import Picture
from .gallery import EXPLANATIONS, POSITIVES, Pictures
from .thresholds.measured import measure


def run_pictures(trained: Trained, pixels: int = 160, say: Callable[[str], None] = print) -> list[Picture]:
    """All pictures of a finished run that can be drawn.

    Args:
        trained: its model.
        pixels: height of an image in a picture.
        say: is told of each that cannot be drawn, and why.

    Example:
        >>> run_pictures(open_trained('log/paul_synthetic'))[0].heading
        'Learned patches'
    """
    pictures = Pictures(trained, pixels)
    drawn = []
    for name in (*EXPLANATIONS, 'distances'):
        try:
            if name == 'distances':
                drawn.append(measure(pictures).picture())
            else:
                chosen = name == 'mining' and trained.cfg.paul.positives != 'patch'
                words = POSITIVES if chosen else EXPLANATIONS[name]
                drawn.append(Picture(*words, getattr(pictures, name)()))
        except UserError as error:
            say(f'{name}: not drawn: {error}')
    return drawn
