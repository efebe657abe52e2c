"""The sites that are rendered: their people, their cameras, and every difficulty as a number."""

from dataclasses import dataclass, replace

MAX_PID = 1501  # the largest id that the host's Market1501 class accepts
MAX_IMAGES_PER_ID = 600  # keeps the running frame number within Market-1501's six digits
RGB = tuple[int, int, int]
Share = tuple[str, float]  # a name and how often it occurs, relative to the others
Span = tuple[float, float]  # lowest and highest value, drawn uniformly between


@dataclass(frozen=True)
class Domain:
    """One site with its own people and cameras; every field is a difficulty knob."""

    index: int  # tells the domains' random streams apart
    # people
    upper_kinds: tuple[Share, ...]  # shares of 't-shirt', 'top', 'long sleeve', 'jacket', 'coat'
    lower_kinds: tuple[Share, ...]  # shares of 'trousers', 'shorts', 'skirt'
    upper_patterns: tuple[Share, ...]  # of 'plain', 'horizontal', 'vertical', 'checks', 'logo', 'blocks'
    lower_patterns: tuple[Share, ...]  # the same for lower garments
    upper_colours: tuple[RGB, ...]
    lower_colours: tuple[RGB, ...]
    uppers: int  # how many different upper garments exist; fewer = more sharing = harder
    lowers: int  # ... lower garments
    shoes: int  # ... pairs of shoes, at most 12
    bags: int  # ... bags, at most 18
    hairs: int  # ... hair styles with a colour, at most 20
    bag_share: float  # share of people who carry a bag, above 0
    popularity: float  # Zipf exponent: 0 = all garments equally common, 1 = a few are worn by many
    pieces_apart: int  # in how many of the 5 pieces any two people differ at least, 1..5
    height: Span  # a person's height, as a share of the tallest
    build: Span  # a person's width, 1 = average
    # pose and detector box
    stride: float  # largest leg angle from the vertical, degrees
    facing_spread: float  # sd of the walking direction about the camera's usual one, degrees
    scale: Span  # size of the person relative to the box
    shift: float  # sd of the box's shift, image pixels
    rotation: float  # sd of the tilt, degrees
    # cameras
    cameras: int  # 2..6
    appearances: Span  # under how many cameras a person is seen (whole numbers, 2 or more)
    backgrounds: tuple[tuple[str, str], ...]  # (wall, ground) per camera, from WALLS and GROUNDS
    wall_colours: tuple[RGB, ...]
    ground_colours: tuple[RGB, ...]
    background_shift: float  # largest sideways shift of the background, image pixels, at most 48
    white: tuple[float, float, float]  # gain of red, green, blue common to all cameras of the site
    cast: float  # a camera's own gains deviate from it by at most this share
    exposure: Span  # a camera's brightness factor
    exposure_jitter: float  # sd of an image's brightness about its camera's, share
    contrast: Span  # a camera's contrast factor about mid-grey
    dapple: float  # sd of uneven light within an image, share
    resolution: Span  # a camera's effective resolution, share of the image's pixels per side
    blur: Span  # a camera's gaussian blur, radius in image pixels
    noise: Span  # a camera's sensor noise, sd in grey levels of 255
    occlusion: float  # share of images with something in front of the person


# fmt: off
DOMAINS = {
    # summer in a sunny pedestrian precinct: bright, patterned, short garments
    'source': Domain(
        index=1,
        upper_kinds=(('t-shirt', 5), ('top', 1), ('long sleeve', 2), ('jacket', 1)),
        lower_kinds=(('trousers', 3), ('shorts', 3), ('skirt', 2)),
        upper_patterns=(('plain', 3), ('horizontal', 2), ('vertical', 1), ('checks', 1), ('logo', 2),
                        ('blocks', 1)),
        lower_patterns=(('plain', 6), ('vertical', 1), ('checks', 1), ('blocks', 1)),
        upper_colours=((236, 236, 230), (214, 52, 50), (242, 196, 54), (64, 142, 208), (92, 176, 86),
                       (238, 138, 170), (38, 40, 52), (240, 132, 44), (128, 200, 200), (150, 96, 170)),
        lower_colours=((72, 98, 150), (40, 44, 60), (206, 190, 158), (226, 224, 216), (150, 60, 70),
                       (104, 124, 84), (140, 140, 146)),
        uppers=24, lowers=14, shoes=5, bags=7, hairs=8,
        bag_share=0.45, popularity=0.5, pieces_apart=2, height=(0.86, 1.0), build=(0.85, 1.2),
        stride=28, facing_spread=50, scale=(1.1, 1.3), shift=2.0, rotation=2.0,
        cameras=6, appearances=(3, 5),
        backgrounds=(('plain', 'tiles'), ('hedge', 'grass'), ('windows', 'plain'), ('plain', 'grass'),
                     ('panels', 'kerb'), ('hedge', 'tiles')),
        wall_colours=((214, 200, 172), (196, 202, 206), (222, 214, 200), (178, 170, 150)),
        ground_colours=((190, 182, 168), (168, 160, 148), (204, 196, 184)),
        background_shift=24, white=(1.03, 1.0, 0.96), cast=0.06,
        exposure=(0.88, 1.12), exposure_jitter=0.06, contrast=(0.9, 1.1), dapple=0.06,
        resolution=(0.7, 1.0), blur=(0.2, 0.6), noise=(2, 6), occlusion=0.12),
    # winter at a station: dark, long, mostly plain garments under cooler, poorer cameras
    'target': Domain(
        index=2,
        upper_kinds=(('t-shirt', 1), ('long sleeve', 3), ('jacket', 4), ('coat', 3)),
        lower_kinds=(('trousers', 7), ('shorts', 0.5), ('skirt', 1.5)),
        upper_patterns=(('plain', 5), ('horizontal', 1), ('vertical', 0.5), ('checks', 1.5), ('logo', 1),
                        ('blocks', 1.5)),
        lower_patterns=(('plain', 6), ('checks', 1), ('blocks', 1)),
        upper_colours=((34, 36, 44), (66, 70, 78), (44, 62, 104), (120, 40, 48), (92, 76, 58), (70, 88, 62),
                       (150, 152, 154), (206, 200, 188), (190, 150, 70), (60, 116, 124)),
        lower_colours=((30, 32, 38), (52, 66, 98), (84, 80, 78), (110, 92, 72), (56, 70, 60),
                       (140, 140, 140)),
        uppers=24, lowers=12, shoes=5, bags=8, hairs=8,
        bag_share=0.6, popularity=0.5, pieces_apart=2, height=(0.84, 1.0), build=(0.9, 1.3),
        stride=24, facing_spread=50, scale=(1.05, 1.25), shift=2.5, rotation=2.5,
        cameras=6, appearances=(4, 6),
        backgrounds=(('bricks', 'plain'), ('panels', 'tiles'), ('plain', 'kerb'), ('windows', 'tiles'),
                     ('bricks', 'kerb'), ('panels', 'plain')),
        wall_colours=((120, 126, 134), (140, 124, 112), (150, 154, 152), (106, 114, 124)),
        ground_colours=((106, 108, 110), (124, 124, 122), (140, 138, 138)),
        background_shift=24, white=(0.96, 1.0, 1.05), cast=0.04,
        exposure=(0.9, 1.1), exposure_jitter=0.06, contrast=(0.85, 1.05), dapple=0.06,
        resolution=(0.6, 0.95), blur=(0.3, 0.8), noise=(3, 8), occlusion=0.15),
}
# The same winter, but cameras that part as much as real ones: walls and grounds that differ in colour from place to
# place and fill more of the box, people who mostly walk one way, and each camera its own white balance and exposure.
# Chosen on seeds 11-13. The walls matter most: cast and exposure alone part the cameras of one seed far more than those
# of another.
DOMAINS['hard'] = replace(
    DOMAINS['target'],
    index=3,
    scale=(1.0, 1.2), facing_spread=30,
    wall_colours=((206, 196, 176), (70, 78, 92), (150, 110, 84), (112, 124, 104), (186, 190, 196), (96, 100, 106)),
    ground_colours=((84, 86, 90), (176, 172, 164), (128, 112, 96), (112, 118, 124)),
    cast=0.06, exposure=(0.88, 1.12),
)
# fmt: on


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Checks a number that a caller gave.

    Raises:
        ValueError: if `value` is not in `low`..`high`; it names the argument, its value and the range.
    """
    if not low <= value <= high:
        raise ValueError(f'{name} is {value}, must be in {low}..{high}')


def domain_named(name: str, seed: int) -> Domain:
    """The domain of that name, for a seed that is in range.

    Raises:
        ValueError: if `name` is no key of `DOMAINS`, or `seed` is not in 0..2**32-1.
    """
    if name not in DOMAINS:
        raise ValueError(f'domain is {name!r}, must be one of {", ".join(DOMAINS)}')
    check_range('seed', seed, 0, 2**32 - 1)
    return DOMAINS[name]
