"""Pictures that runs have drawn, in a folder of crops: neither described nor searched."""

import shutil

from paul_plugin.deploy.descriptor_file import read_descriptors
from paul_plugin.deploy.extraction import extract
from paul_plugin.deploy.search import read_gallery, search


def test_pictures_that_runs_have_drawn_are_no_crops(trained, dozen, tmp_path, capsys):
    """As in training; not for a gallery, either; one that is named is taken."""
    run = dozen / 'log/paul'
    (run / 'visrank').mkdir(parents=True)
    (run / 'train.log-2024-05-06-07-08-09').touch()
    drawn = shutil.copy(dozen / '00.jpg', run / 'visrank/1.jpg')
    said = '  left out: folder that a run writes to (1): log/paul'
    done = extract(trained, dozen, tmp_path / 'a.npz')
    assert (done.count, done.left_out) == (12, {})
    assert capsys.readouterr().out.splitlines() == [said]
    gallery = read_gallery(trained, dozen)
    assert gallery[0] == read_descriptors(done.path)[0]
    assert capsys.readouterr().out.splitlines() == [said]
    assert len(search(trained, drawn, gallery)[0].gallery) == 10
    assert extract(trained, run, tmp_path / 'drawn.npz').count == 1
