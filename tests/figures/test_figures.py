"""What the pictures show, against loops: boxes and crops, neighbours, ranks and rejected candidates, rankings."""

import math

import pytest
import torch
import torchreid
from helpers import by_loops
from PIL import Image
from torch.nn import functional as F

from paul_plugin import CyclicRankingMiner
from paul_plugin.data.images import read_image
from paul_plugin.figures.mining import Mining, draw_mining, mine_batch, rank_all, rejected
from paul_plugin.figures.neighbours import Neighbours, by_patch, draw_neighbours, find_neighbours, nearest
from paul_plugin.figures.patches import Patches, corners, crop, draw_patches, find_patches, outlined
from paul_plugin.figures.ranked import average_precision, ranked_items, ranking
from paul_plugin.figures.sheet import (
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    RIGHT,
    SKY,
    WHITE,
    WRONG,
    Cell,
    Heading,
    _caption_lines,
    _width,
    palette,
    sheet,
    spread,
)  # fmt: skip
from paul_plugin.method.patch_generation import stripes
from paul_plugin.report.gallery import choose
from paul_plugin.runtime.errors import UserError

WIDTH, HEIGHT = 31, 61
WHOLE = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
QUARTER_TURN = torch.tensor([[0.0, -0.5, 0.2], [0.3, 0, -0.1]])
ROTATED = torch.tensor([[0.6, -0.3, 0.1], [0.2, 0.3, -0.2]])
OUTSIDE = torch.tensor([[1.2, 0.1, 0.3], [0, 0.4, 0.8]])


def to_pixels(theta, x, y):
    """Where a point of a patch, -1 to 1, lies in the image, in pixels."""
    u, v = (theta[row, 0] * x + theta[row, 1] * y + theta[row, 2] for row in (0, 1))
    return ((u + 1) / 2 * (WIDTH - 1)).item(), ((v + 1) / 2 * (HEIGHT - 1)).item()


def test_corners():
    assert corners(WHOLE, WIDTH, HEIGHT).tolist() == [[0, 0], [30, 0], [30, 60], [0, 60]]
    for number, theta in enumerate(stripes(6)):
        top = number * 10
        expected = torch.tensor([[0.0, top], [30, top], [30, top + 10], [0, top + 10]])
        torch.testing.assert_close(corners(theta, WIDTH, HEIGHT), expected, atol=1e-4, rtol=0)
    many = torch.stack([QUARTER_TURN, ROTATED, OUTSIDE])
    for theta, found in zip(many, corners(many, WIDTH, HEIGHT)):
        expected = [to_pixels(theta, x, y) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        assert found.flatten().tolist() == pytest.approx([part for point in expected for part in point], abs=1e-4)


@pytest.mark.parametrize('theta', [WHOLE, stripes(6)[2], QUARTER_TURN, ROTATED, OUTSIDE])
def test_a_crop_is_the_bilinear_sample(theta):
    image = torch.rand(3, HEIGHT, WIDTH)
    found = crop(image, theta, outside=0.25)
    height, width = found.shape[1:]
    left_top, right_top, _, left_bottom = corners(theta, WIDTH, HEIGHT)
    assert width - 1 == round((right_top - left_top).norm().item())
    assert height - 1 == round((left_bottom - left_top).norm().item())

    def pixel(x, y):
        return image[:, y, x] if 0 <= x < WIDTH and 0 <= y < HEIGHT else torch.full((3,), 0.25)

    for row in range(0, height, 3):
        for column in range(0, width, 3):
            x, y = to_pixels(theta, 2 * column / (width - 1) - 1, 2 * row / (height - 1) - 1)
            a, b = math.floor(x), math.floor(y)
            expected = sum((1 - abs(x - i)) * (1 - abs(y - j)) * pixel(i, j) for i in (a, a + 1) for j in (b, b + 1))
            torch.testing.assert_close(found[:, row, column], expected, atol=1e-4, rtol=0)
    if theta is WHOLE:
        torch.testing.assert_close(found, image, atol=1e-5, rtol=0)


def test_outlines_lie_on_the_corners():
    image = Image.new('RGB', (WIDTH, HEIGHT), (10, 10, 10))
    shown = outlined(image, [(ROTATED, SKY)])
    edge = (shown.width - WIDTH) // 2
    for x, y in corners(ROTATED, WIDTH, HEIGHT).round().int().tolist():
        near = [shown.getpixel((x + edge + i, y + edge + j)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        assert SKY in near
    assert shown.getpixel((edge, edge)) == (10, 10, 10)
    assert shown.getpixel((0, 0)) == GREY
    pale = outlined(image, [(ROTATED, SKY)], fade=True)
    x, y = (round(value) + edge for value in to_pixels(ROTATED, 0, 0))
    assert pale.getpixel((x, y)) == (10, 10, 10)
    assert min(pale.getpixel((edge, edge))) > 150


def test_neighbours():
    bank = F.normalize(torch.randn(3, 20, 8), dim=2) * 0.9
    features = F.normalize(torch.randn(4, 3, 8), dim=2)
    own = torch.tensor([5, -1, 0, -1])
    filled = torch.ones(20, dtype=torch.bool)
    filled[7] = False
    found = nearest(features, bank, own, 4, filled)
    assert found.rows.shape == found.distances.shape == (4, 4, 4)
    for query in range(4):
        rows = [row for row in range(20) if row != own[query] and row != 7]
        squares = {row: [((features[query, m] - bank[m, row]) ** 2).sum().item() for m in range(3)] for row in rows}
        for part in range(4):
            by = {row: sum(each) / 3 if part == 0 else each[part - 1] for row, each in squares.items()}
            expected = sorted(rows, key=by.get)[:4]
            assert found.rows[part, query].tolist() == expected
            assert found.distances[part, query].tolist() == pytest.approx([by[row] for row in expected], rel=1e-4)
    assert nearest(features, bank, own, 50, filled).rows.shape == (4, 4, 18)


def test_a_bank_of_whole_images_has_patches():
    patches = F.normalize(torch.randn(3, 20, 8), dim=2)
    whole = F.normalize(patches.transpose(0, 1).flatten(1), dim=1)
    torch.testing.assert_close(by_patch(whole[None], 3), patches)
    assert by_patch(patches, 3) is patches


@pytest.fixture
def training(make_datamanager):
    """A PatchNet in eval mode, the transforms of training and of test images, the items of the training images."""
    datamanager = make_datamanager()
    model = torchreid.models.build_model('paul_osnet_x0_25', pretrained=False, loss='paul', dim=16, num_classes=1)
    dataset = datamanager.train_loader.dataset
    return model.eval(), dataset.transform, datamanager.transform_te, dataset.data


@torch.no_grad()
def described(model, transform, paths):
    return torch.stack([model(transform(read_image(path))[None])[0] for path in paths])


def test_neighbours_are_files(training, tmp_path):
    model, _, transform, items = training
    paths, pids = [item[0] for item in items], [item[1] for item in items]
    bank = F.normalize(described(model, transform, paths).unflatten(1, (6, 16)), dim=2).transpose(0, 1).contiguous()
    filled = torch.ones(len(paths), dtype=torch.bool)
    queries = [paths[7], str(tmp_path / 'elsewhere.jpg')]
    Image.new('RGB', (48, 96), 'green').save(queries[1])
    found = find_neighbours(model, transform, (bank, filled), paths, queries, k=3, pids=pids)
    features = described(model, transform, queries).unflatten(1, (6, 16))
    rows, distances = nearest(features, bank, torch.tensor([7, -1]), 3, filled)
    assert found.near == [[[paths[row] for row in near] for near in part] for part in rows.tolist()]
    torch.testing.assert_close(found.distances, distances)
    for part, same in zip(rows.tolist(), found.same, strict=True):
        assert same == [[pids[row] == pids[7] for row in part[0]], [None] * 3]
    assert found.thetas.keys() == {*queries, *(path for part in found.near for near in part for path in near)}
    assert find_neighbours(model, transform, (bank, filled), paths, queries, k=3).same is None


def test_neighbours_are_drawn_of_the_result_alone(tmp_path):
    files = {name: str(tmp_path / f'{name}.png') for name in ('red', 'blue')}
    for name, file in files.items():
        Image.new('RGB', (30, 60), name).save(file)
    near, same = [[[files['blue'], files['red']]]] * 2, [[[True, False]]] * 2
    found = Neighbours([files['red']], near, torch.zeros(2, 1, 2), same, dict.fromkeys(files.values(), WHOLE[None]))
    counts = {colour: count for count, colour in draw_neighbours(found, pixels=60).getcolors(1 << 24)}
    assert counts[255, 0, 0] >= 2 * 30 * 60  # the query and a neighbour, whole; the patch has its outline over it
    assert counts[0, 0, 255] >= 30 * 60
    assert min(counts[RIGHT], counts[WRONG]) > 40 * 70 - 30 * 60
    unknown = draw_neighbours(found._replace(same=None), pixels=60)
    assert not {RIGHT, WRONG} & {colour for _, colour in unknown.getcolors(1 << 24)}


def test_patches_are_drawn_of_the_result_alone(training, tmp_path):
    model, _, transform, items = training
    found = find_patches(model, transform, [item[0] for item in items[:2]])
    assert found.thetas.shape == (2, 6, 2, 3)
    assert found.learned
    Image.new('RGB', (30, 60), 'red').save(tmp_path / 'red.png')
    drawn = draw_patches(Patches([str(tmp_path / 'red.png')], stripes(3)[None], learned=False), pixels=60)
    assert {(255, 0, 0), *palette(3)} <= {colour for _, colour in drawn.getcolors(1 << 24)}


def test_a_mined_batch(training):
    model, pair, _, items = training
    paths = [item[0] for item in items]
    miner = CyclicRankingMiner(r=2, max_candidates=4)
    found = mine_batch(model, pair, paths, miner, 10, first=[paths[9]], seed=3)
    assert len(found.images) == len(found.surrogates) == len(found.negatives) == len(found.rejected) == 10
    with torch.no_grad():
        real, surrogate = (model(torch.stack([pair.tensor_stage(each) for each in part])) for part in found[:2])
    assert found.negatives == miner(real).tolist()
    torch.testing.assert_close(found.to_surrogates, (real - surrogate).norm(dim=1))
    assert found.ranks.ranks.equal(rank_all(real).ranks)
    assert found.rejected == [rejected(found.ranks.ranks, i, found.negatives[i], 4) for i in range(10)]
    again, other = (mine_batch(model, pair, paths, miner, 10, first=[paths[9]], seed=seed) for seed in (3, 4))
    assert again.images == found.images
    assert other.images != found.images


def test_mining_is_drawn_of_the_result_alone():
    images = [Image.new('RGB', (30, 60), colour) for colour in ('red', 'blue', 'yellow', 'black')]
    ranks = rank_all(torch.tensor([[0.0], [1.0], [2.5], [9.0]]))
    found = Mining(images, images[::-1], ranks, torch.zeros(4), [2, -1, 0, 1], [[1], [0, 2], [], []], 1)
    counts = {colour: count for count, colour in draw_mining(found, number=1, pixels=60).getcolors(1 << 24)}
    of = {name: counts[image.getpixel((0, 0))] for name, image in zip(('anchor', 'passed', 'mined'), images)}
    assert of == {'anchor': 30 * 60, 'passed': 30 * 60, 'mined': 30 * 60}
    assert counts[GREEN] == counts[BLUE] == 40 * 70 - 30 * 60
    assert counts[GREY] >= 40 * 70 - 30 * 60  # some edge of a letter is as grey
    assert draw_mining(found, number=2, pixels=60).height > draw_mining(found, number=1, pixels=60).height


@pytest.mark.parametrize('tried', [None, 2])
def test_ranks_agree_with_the_miner(tried):
    for size in (6, 25):
        descriptors = torch.randn(size, 5)
        distances, ranks = rank_all(descriptors)
        lists = [by_loops.ranking(descriptors, i) for i in range(size)]
        for i in range(size):
            assert ranks[i, i] == 0
            assert [ranks[i, j].item() for j in lists[i]] == list(range(1, size))
        assert distances[0, 1].item() == pytest.approx(torch.dist(descriptors[0], descriptors[1]).item(), rel=1e-5)
        for anchor, negative in enumerate(CyclicRankingMiner(r=2, max_candidates=tried)(descriptors).tolist()):
            passed = rejected(ranks, anchor, negative, tried)
            assert all(ranks[j, anchor] <= 2 for j in passed)
            if negative < 0:
                assert passed == lists[anchor][: tried or size]
            else:
                assert ranks[negative, anchor] > 2
                assert [*passed, negative] == lists[anchor][: len(passed) + 1]


def test_rankings_are_those_of_torchreids_evaluation():
    distances = torch.rand(12, 40)
    queries = [(f'q{i}', i % 5, i % 3) for i in range(12)]
    gallery = [(f'g{i}', i % 4, i // 4 % 2) for i in range(40)]  # no person 4
    pids, camids = (torch.tensor([item[place] for item in gallery]) for place in (1, 2))
    precisions = []
    for row, (_, pid, camid) in zip(distances, queries):
        order, right = ranking(row, pid, camid, pids, camids)
        kept = [i for i in range(40) if gallery[i][1:] != (pid, camid)]
        assert order.tolist() == sorted(kept, key=lambda i, row=row: row[i])
        assert right.tolist() == [gallery[i][1] == pid for i in order]
        precisions.append(average_precision(right))
    counted = [precision for precision in precisions if precision is not None]
    assert len(counted) == sum(item[1] != 4 for item in queries)
    arrays = [torch.tensor([item[place] for item in part]).numpy() for place in (1, 2) for part in (queries, gallery)]
    mean = torchreid.metrics.evaluate_rank(distances.numpy(), *arrays, max_rank=5, use_cython=False)[1]
    assert sum(counted) / len(counted) == pytest.approx(mean, abs=1e-6)

    found = ranked_items(distances, queries, gallery, 3)
    assert [each.precision for each in found] == precisions
    assert all(len(each.gallery) == len(each.captions) == len(each.right) == 3 for each in found)
    assert 'not in the gallery' in found[4].about


def test_which_images():
    paths = [f'/data/{name}.jpg' for name in 'abcdef']
    assert choose([], paths, 3) == spread(6, 3) == [0, 2, 4]
    assert choose([], paths, 10) == [0, 1, 2, 3, 4, 5]
    state = torch.get_rng_state()
    drawn = choose([], paths, 4, seed=3)
    assert len(set(drawn)) == 4
    assert drawn == choose([], paths, 4, seed=3)
    assert torch.get_rng_state().equal(state)
    assert choose(['c.jpg', '5', '/data/a.jpg', '/data/x/../b.jpg'], paths, 2) == [2, 5, 0, 1]
    with pytest.raises(UserError, match='none of the 6 images'):
        choose(['z.jpg'], paths, 2)


def test_palette_has_as_many_colours_as_patches():
    for count in (1, 6, 7, 12):
        colours = palette(count)
        assert len(set(colours)) == len(colours) == count


def test_sheet_holds_what_it_is_given():
    red, blue = (Image.new('RGB', (30, 60), colour) for colour in ('red', 'blue'))
    rows = [
        [Cell(red, 'one\ntwo', RIGHT), Cell(blue, 'a long name ' * 9)],
        [Cell(None, 'x')],
    ]
    headings = [Heading('left'), Heading('right', PURPLE)]
    image = sheet('Title ' * 30, 'Words ' * 90, rows, headings, headings, [1], headings)
    counts = {colour: count for count, colour in image.getcolors(1 << 24)}
    assert counts[255, 0, 0] == counts[0, 0, 255] == 30 * 60
    assert counts[RIGHT] == 40 * 70 - 30 * 60
    assert counts[PURPLE] > 0
    assert image.getpixel((0, 0)) == image.getpixel((image.width - 1, image.height - 1)) == WHITE


def test_captions_go_on_below_and_do_not_say_the_opposite():
    """`0.334 unknown`, cut in its middle, read `0.334 ...known`."""
    assert _caption_lines('0.334 unknown\nperson 7', 90) == ['0.334', 'unknown', 'person 7']
    assert _caption_lines('0101_c1s1_001102_01.jpg', 90) == ['0101_c1s1_', '001102_', '01.jpg']
    for long in ('x' * 200, 'a name_of-a file ' * 9, '_' * 99):
        lines = _caption_lines(long, 90)
        assert len(lines) == 3
        assert max(_width(line, 15) for line in lines) <= 100
        assert '…' in lines[2]
    assert all(_caption_lines('wide', width) for width in range(12))


def test_a_ranking_calls_people_by_the_users_names():
    class Folder:
        people, cameras = ['anna', 'bo\x1bb'], ['door', 'yard']

    queries, gallery = [('q.png', 0, 0)], [('a.png', 0, 1), ('b.png', 1, 0)]
    (found,) = ranked_items(torch.tensor([[0.25, 0.5]]), queries, gallery, 2, Folder())
    assert found.about.endswith('person anna\ncamera door')
    assert found.captions == ['0.250\nperson anna\ncamera yard', "0.500\nperson 'bo\\x1bb'\ncamera door"]
    (found,) = ranked_items(torch.tensor([[0.25, 0.5]]), queries, gallery, 2)
    assert found.captions[0] == '0.250\nperson 0\ncamera 2'
