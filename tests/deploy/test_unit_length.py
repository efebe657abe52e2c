"""Descriptors leave with length 1, whichever way they leave; the model's own stay the paper's; old files are read."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from paul_plugin.config.settings import with_keys
from paul_plugin.deploy.as_tested import described, distances
from paul_plugin.deploy.centred import centring_of
from paul_plugin.deploy.descriptor_file import read_meta, write_descriptors
from paul_plugin.deploy.extraction import extract
from paul_plugin.deploy.one_camera import for_camera
from paul_plugin.deploy.search import read_gallery, search
from paul_plugin.method.unit import unit_length
from paul_plugin.run.trained import open_trained


@pytest.fixture(scope='module')
def trained(embedded_run):
    return open_trained(embedded_run)


@pytest.fixture(scope='module')
def top(rendered):
    return next(rendered.glob('synthetic_target/*/query'))


@pytest.fixture(scope='module')
def paths(top):
    return sorted(map(str, top.iterdir()))


@torch.no_grad()
def raw(trained, paths):
    """As the model itself gives them: of length 1 for each of its patches."""
    from paul_plugin.data.descriptors import describe

    rows = torch.cat(list(describe(trained.model, paths, trained.transform())))
    torch.testing.assert_close(rows.norm(dim=1), torch.full((len(rows),), trained.cfg.paul.num_patches**0.5))
    return rows


def assert_unit(rows):
    np.testing.assert_allclose(np.linalg.norm(np.asarray(rows), axis=1), 1, atol=1e-5)


def test_a_row_of_zeros_stays_one():
    rows = unit_length(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    torch.testing.assert_close(rows, torch.tensor([[0.0, 0.0], [0.6, 0.8]]))


def test_describe_and_the_gallery_of_a_folder(trained, top, paths):
    expected = F.normalize(raw(trained, paths), dim=1)
    for rows in (torch.from_numpy(trained.describe(paths)), read_gallery(trained, top)[1]):
        torch.testing.assert_close(rows, expected, atol=1e-5, rtol=0)
    assert_unit(for_camera(trained, '3').describe(paths))


def test_a_file_of_an_earlier_version_is_compared_like_a_new_one(trained, top, paths, tmp_path):
    new = extract(trained, top, tmp_path / 'new.npz').path
    meta = {key: value for key, value in read_meta(new).items() if key != 'length'}
    names = [path.rpartition('/')[2] for path in paths]
    write_descriptors(tmp_path / 'old.npz', names, [raw(trained, paths).numpy()], meta)
    cfg = with_keys(trained.cfg, {'test.dist_metric': 'euclidean'})
    for model in (trained, trained._replace(cfg=cfg)):
        old, now = (search(model, paths[:3], read_gallery(model, tmp_path / name)) for name in ('old.npz', 'new.npz'))
        assert [each.gallery for each in old] == [each.gallery for each in now]
        for one, other in zip(old, now, strict=True):
            np.testing.assert_allclose(one.distances, other.distances, atol=1e-5)


def test_a_centred_search_ranks_as_before(trained, top, paths):
    """By cosines of the model's own descriptors, each without the mean of its camera."""
    own = raw(trained, paths)
    gallery = read_gallery(trained, top)
    centring = centring_of(trained, gallery, str(top))
    means = torch.stack([own[[c == camera for c in centring.cameras]].mean(0) for camera in centring.means.means])
    before = [own - own[[c == camera for c in centring.cameras]].mean(0) for camera in centring.cameras]
    rows = torch.stack([block[place] for place, block in enumerate(before)])
    expected = 1 - F.normalize(own[:2] - means.mean(0), dim=1) @ F.normalize(rows, dim=1).T
    found = search(trained, paths[:2], gallery, len(paths), centring)
    for query, each in enumerate(found):
        known = {paths[place]: value.item() for place, value in enumerate(expected[query])}
        np.testing.assert_allclose(each.distances, [known[path] for path in each.gallery], atol=1e-5)


def test_distances_of_two_descriptors_of_one_image_are_none(trained, paths):
    rows = described(trained, paths[:2])
    assert distances(trained, rows, rows).diagonal().abs().max() < 1e-5
