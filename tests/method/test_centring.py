"""Camera centring: means and centred descriptors against loops."""

import pytest
import torch

from paul_plugin.method.camera_means import CameraMeans


def test_means_and_centred_descriptors_are_those_of_loops():
    descriptors = torch.randn(9, 4)
    cameras = ['b', 'a', 'b', 'c', 'a', 'b', 'b', 'a', 'b']
    means = CameraMeans.of([(descriptors[:5], cameras[:5]), (descriptors[5:], cameras[5:])])
    expected = {}
    for camera in 'abc':
        own = [row for row, other in zip(descriptors, cameras) if other == camera]
        expected[camera] = sum(own) / len(own)
    assert means.means.keys() == expected.keys()
    for camera, mean in expected.items():
        torch.testing.assert_close(means.means[camera].float(), mean)
    centred = means.centred(descriptors, cameras)
    assert centred.dtype == descriptors.dtype
    for row, camera, found in zip(descriptors, cameras, centred):
        torch.testing.assert_close(found, row - expected[camera])


def test_an_unknown_camera_takes_off_the_mean_over_cameras():
    """Each camera counts once, whatever its number of images."""
    means = CameraMeans.of([(torch.tensor([[1.0], [1.0], [1.0], [5.0]]), [0, 0, 0, 1])])
    assert means.centred(torch.tensor([[10.0], [10.0]]), [7, 1]).tolist() == [[7.0], [5.0]]


def test_no_camera():
    with pytest.raises(ValueError, match='no camera'):
        CameraMeans.of([])
