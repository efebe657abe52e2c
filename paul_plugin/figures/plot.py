"""A figure of matplotlib's as an image, at the size and fineness of the report's page."""

from PIL import Image

from ..runtime.errors import import_optional

WIDTH = 7.3  # inches
DPI = 192  # two pixels of the picture to a pixel of CSS; type of 9 points, the smallest used, is 12 of them


def new_figure(height: float):
    """An empty figure of matplotlib's, `WIDTH` wide, not one of pyplot's, whose state is the whole program's.

    Args:
        height: in inches.

    Raises:
        UserError: if matplotlib is missing.
    """
    import_optional('matplotlib')
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def as_image(figure) -> Image.Image:
    """RGB, 1400 pixels wide; its `info['dpi']` says that half of it is the size to look at."""
    canvas = figure.canvas
    canvas.draw()
    image = Image.frombytes('RGBA', canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert('RGB')
    image.info['dpi'] = (DPI, DPI)
    return image


def colour_of(colour: tuple[int, int, int]) -> str:
    """A colour of the sheets as matplotlib takes it."""
    return '#{:02X}{:02X}{:02X}'.format(*colour)


def tidy(axes) -> None:
    """A panel's frame and grid."""
    axes.tick_params(labelsize=9)
    axes.grid(color='#e4e4e4')
    axes.set_axisbelow(True)
    axes.spines[['top', 'right']].set_visible(False)
