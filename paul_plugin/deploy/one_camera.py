"""A model for one camera: its norms, where the test asks for them, and descriptors without its mean."""

from torch import Tensor, nn

from ..checkpoints.weights_file import WeightsFile
from ..data.cameras import normal
from ..data.ids import camera_name
from ..method.unit import UnitLength, unit_length
from ..run.data import root_of
from ..run.trained import Trained
from ..runtime.errors import UserError, nearest, printable
from .by_camera import training_norms
from .centred import training_means
from .last_layers import with_layers


class WithoutMean(nn.Module):
    """Takes a mean off descriptors, and makes them of length 1 again.

    Args:
        mean: (E,), of descriptors of length 1.
    """

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer('mean', mean.float())

    def forward(self, descriptors: Tensor) -> Tensor:
        """(B, E), of length 1 -> the same."""
        return unit_length(descriptors - self.mean)


def for_camera(trained: Trained, camera: str) -> Trained:
    """The same model for crops of one camera: descriptors without its mean, as the test has it that centres by cameras.

    The mean is that of the run's training images from this camera (see `CameraMeans`). With `test.camera_norms` the
    model has their BatchNorm statistics, too (see `CameraNorms`). Descriptors of one camera's model are compared with
    those of another's, each of its own camera's crops. They are made of length 1 in the end, which cosines do not see:
    all descriptors have one length before the mean is taken off.

    Args:
        trained: the model, its descriptor reduced or not.
        camera: its name, as it is or as pictures and logs show it: of torchreid's data sets a number from 1 on.

    Raises:
        UserError: if the training images are not there, are not those that the model was trained on, are of one
            camera, or none or a single one is of that camera.

    Example:
        >>> for_camera(open_trained('log/paul_market'), '3').model.camera
        '3'
    """
    try:
        datamanager = trained.datamanager()
    except UserError:
        if WeightsFile(trained.path, trained.checkpoint).config:
            raise
        raise UserError(  # the data set that is missing is the default, which the user never named
            f'--camera {printable(camera)}: the mean of a camera is that of training images, of which '
            f'{printable(trained.path)} tells nothing: name the folder of a run, or the data by --opts data.sources'
        ) from None
    if trained.checkpoint.get('images') is None:
        print(
            f'warning: {printable(trained.path)} does not tell which images it was trained on: the mean is that of '
            f'those in {printable(root_of(trained.cfg, trained.cfg.data.sources[0]))}'
        )
    else:
        trained.check_images(datamanager)
    norms, dataset = training_norms(trained, datamanager), datamanager.train_loader.dataset
    means = training_means(trained, datamanager, norms)
    named = {camera_name(dataset, number): number for number in sorted(means.means)}
    lone = {camera_name(dataset, number) for number in means.lone}
    shown = camera if camera in {*named, *lone} else printable(normal(camera))
    if len(named) + len(lone) == 1:
        raise UserError(
            f'--camera {printable(camera)}: the training images of {printable(trained.path)} are of one camera, or '
            'their cameras are unknown: name them by folder.camera when you train'
        )
    others = f'one of {", ".join(list(named)[:20])}' if named else 'leave it out, no camera has more'
    if shown in lone:
        raise UserError(
            f'--camera {printable(camera)}: a single training image of {printable(trained.path)} is of that camera, '
            f'which makes no mean: {others}'
        )
    if shown not in named:
        raise UserError(
            f'--camera {printable(camera)}: no training image of {printable(trained.path)} is of that camera'
            f'{nearest(shown, named)}: {others}'
        )
    number = named[shown]
    trained = trained._replace(model=norms.network(number))
    return with_layers(trained, UnitLength(), WithoutMean(means.means[number]), camera=shown)
