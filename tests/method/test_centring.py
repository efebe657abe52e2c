"""Camera centring: means and centred descriptors against loops."""

import pytest
import torch

from paul_plugin.method.camera_means import CameraMeans


def test_means_and_centred_descriptors_are_those_of_loops():
    descriptors = torch.randn(9, 4)
    cameras = ['b', 'a', 'b', 'c', 'a', 'c', 'b', 'a', 'b']
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
    means = CameraMeans.of([(torch.tensor([[1.0], [1.0], [1.0], [5.0], [5.0]]), [0, 0, 0, 1, 1])])
    assert means.centred(torch.tensor([[10.0], [10.0]]), [7, 1]).tolist() == [[7.0], [5.0]]


def test_a_single_descriptor_makes_no_mean():
    """Its camera is treated as one that is not known, by the mean over the others; where all are such, over them."""
    descriptors, cameras = torch.randn(6, 3), ['a', 'lone', 'b', 'a', 'b', 'b']
    means = CameraMeans.of([(descriptors[:2], cameras[:2]), (descriptors[2:], cameras[2:])])
    own = {camera: [row for row, other in zip(descriptors, cameras) if other == camera] for camera in 'ab'}
    expected = {camera: sum(rows) / len(rows) for camera, rows in own.items()}
    overall = (expected['a'] + expected['b']) / 2
    assert (means.means.keys(), means.lone.keys()) == ({'a', 'b'}, {'lone'})
    for row, camera, found in zip(descriptors, cameras, means.centred(descriptors, cameras)):
        torch.testing.assert_close(found, row - expected.get(camera, overall))
    torch.testing.assert_close(means.centred(descriptors[:1], ['unknown'])[0], descriptors[0] - overall)
    alone = CameraMeans.of([(descriptors[:2], [0, 1])])
    assert not alone.means
    torch.testing.assert_close(alone.centred(descriptors[:1], [0])[0], (descriptors[0] - descriptors[1]) / 2)


def test_no_camera():
    with pytest.raises(ValueError, match='no camera'):
        CameraMeans.of([])
