"""The paper's tables: which runs they need and share, what they show, and a small one made by real processes."""

import csv
import json
import os
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.forks import ForkedModule
from helpers.tables import WORDS, finish, plan_of

from paul_plugin.ablation import runs, tables
from paul_plugin.ablation.estimates import Estimates, in_words
from paul_plugin.ablation.plan import RECORD
from paul_plugin.ablation.plot import draw
from paul_plugin.ablation.report import as_csv, as_markdown, mean_and_deviation, measurements, per_cent
from paul_plugin.ablation.runs import make_runs
from paul_plugin.commands import ablate as tool
from paul_plugin.commands import command, run_words
from paul_plugin.config.keys import all_keys, value_of
from paul_plugin.runtime import stopping
from paul_plugin.runtime.errors import UserError
from paul_plugin.runtime.lock import locked

# ---- tables and plans ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', [*tables.TABLES, *tables.ALIASES])
def test_every_table_can_be_planned(name, tmp_path):
    """Each row is another config, only by the keys that it sets; one is the config as it is."""
    plan = plan_of(name, tmp_path, 'train.batch_size', '10')
    assert len({row.name for row in plan.table.rows}) == len(plan.table.rows) >= 2
    assert len({run.folder for run in plan.cells.values()}) == len(plan.table.rows)
    base = run_words.load_config([*WORDS, 'train.batch_size', '10', 'train.seed', '1'])
    differences = [
        {key for key in all_keys(base) if value_of(base, key) != value_of(run.cfg, key)} for run in plan.cells.values()
    ]
    assert differences.count(set()) == 1
    assert all(differing <= set(row.keys) for differing, row in zip(differences, plan.table.rows, strict=True))


def test_rows_of_the_components():
    cfg = run_words.load_config(WORDS)
    rows = {row.name: row.keys for row in tables.make_table('components', cfg).rows}
    assert rows['image-level PEDAL'] == {'paul.similarity': 'image', 'paul.weight_ipfl': 0.0}
    assert rows['IPFL'] == {'paul.similarity': 'patch', 'paul.weight_pedal': 0.0}
    assert rows['control: learning rate 0']['train.lr'] == 0


def test_values_of_a_sweep():
    cfg = run_words.load_config([*WORDS, 'paul.margin', '1.7'])
    assert [row.value for row in tables.make_table('m', cfg).rows] == [0.5, 1, 1.7, 2, 3, 4]
    assert [row.name for row in tables.make_table('lambda', cfg, ['3', '1e-1', '3.0']).rows] == [
        'lambda = 0.1', 'lambda = 3'
    ]  # fmt: skip


def test_tables_share_runs_and_weights(tmp_path):
    seeds = (1, 2)
    both = plan_of('components', tmp_path, seeds=seeds).cells['PEDAL + IPFL', 2]
    sweep = plan_of('k', tmp_path, seeds=seeds, values=['2', '3'])
    assert sweep.cells['k = 3', 2].folder == both.folder  # the config's own k
    assert sweep.cells['k = 2', 2].folder != both.folder
    # Reached from another config.
    assert plan_of('components', tmp_path, 'paul.k', '2').cells['PEDAL + IPFL', 1].identity == (
        sweep.cells['k = 2', 1].identity
    )
    # One pre-training a seed, the direct transfer's; its weights are what the others are told to start from.
    components = plan_of('components', tmp_path, seeds=seeds)
    for seed in seeds:
        direct = components.cells['direct transfer', seed]
        assert direct.starts_from is None
        assert direct.stage.train.seed == seed
        others = [run for (name, of), run in components.cells.items() if of == seed and run is not direct]
        assert all(run.starts_from is direct and run.stage is None for run in others)
        assert all(run_words.load_config(run.words).model.load_weights == str(direct.weights) for run in others)
    assert sweep.cells['k = 2', 1].starts_from.folder == components.cells['direct transfer', 1].folder
    # Another number of patches is another model.
    patches = plan_of('M', tmp_path, values=['6', '2'])
    assert patches.cells['M = 6', 1].starts_from.folder == components.cells['direct transfer', 1].folder
    other = patches.cells['M = 2', 1].starts_from
    assert other.folder != components.cells['direct transfer', 1].folder
    assert other.stage.paul.num_patches == run_words.load_config(other.words).paul.num_patches == 2


def test_what_a_run_is_told(tmp_path):
    run = plan_of('k', tmp_path, seeds=[4], values=['2']).cells['k = 2', 4]
    cfg = run_words.load_config(run.words)
    assert (cfg.paul.k, cfg.train.seed, cfg.model.resume, cfg.data.save_dir) == (2, 4, 'auto', str(run.folder))
    assert cfg.data.root == 'reid-data'
    # Rendered from the run's seed, the data of each seed have a folder of their own.
    run = plan_of('k', tmp_path, 'paul.synthetic.seed', '-1', seeds=[4], values=['2']).cells['k = 2', 4]
    assert run_words.load_config(run.words).data.root == str(Path('reid-data/seed4'))


def test_weights_of_the_user(tmp_path):
    """They are used as they are, but not for another model."""
    file = tmp_path / 'weights.pth'
    file.touch()
    words = ('model.load_weights', str(file))
    plan = plan_of('M', tmp_path, *words, values=['6', '2'])
    own, other = plan.cells['M = 6', 1], plan.cells['M = 2', 1]
    assert own.starts_from is None
    assert run_words.load_config(own.words).model.load_weights == str(file)
    assert run_words.load_config(other.words).model.load_weights == str(other.starts_from.weights)
    assert run_words.load_config(other.starts_from.words).model.load_weights == ''
    with pytest.raises(UserError, match=r"row 'M = 2': it needs weights of its own: .* paul.pretrain.config"):
        plan_of('M', tmp_path, *words, 'paul.pretrain.config', '', values=['6', '2'])


def test_sources_of_the_pretraining(tmp_path):
    values = ['none', 'synthetic_source', 'synthetic_source+synthetic_target']
    plan = plan_of('pretraining', tmp_path, values=values)
    none, own, two = plan.cells.values()
    assert none.starts_from is None
    assert run_words.load_config(none.words).model.load_weights == ''
    assert own.folder == plan_of('components', tmp_path).cells['PEDAL + IPFL', 1].folder
    stage = two.starts_from.stage
    assert stage.data.sources == stage.data.targets == ['synthetic_source', 'synthetic_target']
    assert stage.train.max_epoch == 1  # the user's own paul.pretrain.opts stay


REFUSED = {
    'a bad value of one row': (('k', '--values', '3', '0'), "row 'k = 0': paul.k = 0: must be at least 1"),
    'values of no sweep': (('surrogate', '--values', '1'), 'the table surrogate takes no values'),
    'unknown row': (('components', '--rows', 'PEDEL'), "--rows 'PEDEL' (did you mean 'PEDAL'?)"),
    'misspelt option': (('k', '--seed', '1'), "unknown option '--seed'"),
    'supervised': (('k', 'loss.name', 'softmax', '--transforms', 'random_flip'), "loss.name = 'softmax'"),
    'no labels': (('k', '-t', 'folder'), 'set folder.labels'),
    'switched off': (('components', 'paul.weight_ipfl', '0'), 'paul.weight_ipfl = 0.0: the table components needs'),
    'the same runs': (('r', 'paul.weight_ipfl', '0'), 'paul.weight_ipfl = 0.0: the table r needs it above 0, or its'),
    'no data': (('k', '-t', 'market1501'), "error: data set 'market1501' is not there"),
    'no source': (('pretraining', '--values', 'msmt17'), "row 'msmt17': pre-training stage"),
    'abbreviated': (('k', '--dry'), '--dry-run is to be written out'),
    'no pre-training': (('pretraining', 'paul.pretrain.config', ''), 'the table pretraining needs paul.pretrain.conf'),
    'no jobs': (('k', '--jobs', '0'), '--jobs: must be at least 1, got 0'),
}  # fmt: skip


@pytest.mark.parametrize('name', REFUSED)
def test_refuses_before_anything_starts(name, tmp_path, capsys):
    (table, *words), expected = REFUSED[name]
    with pytest.raises(SystemExit) as stop:
        command.main(tool, [table, *WORDS, '--out', str(tmp_path / 'out'), '--root', str(tmp_path), *words])
    err = capsys.readouterr().err
    assert stop.value.code == 2
    assert expected in err.splitlines()[0], err
    assert all(line.startswith('error: ') for line in err.splitlines())
    assert list(tmp_path.iterdir()) == []


# ---- before and after the runs -------------------------------------------------------------------------------------


def test_dry_run_starts_and_writes_nothing(tmp_path, capsys):
    command.main(tool, ['M', '--values', '2', '6', *WORDS, '--seeds', '1', '2', '--out', str(tmp_path / 'out'),
                  '--root', str(tmp_path), '--dry-run'])  # fmt: skip
    out = capsys.readouterr().out
    lines = out.splitlines()
    grid = [' '.join(line.split()) for line in lines[1:4]]
    assert grid == ['row seed 1 seed 2', 'M = 2 to do to do', 'M = 6 to do to do']
    assert 'and pre-training for M = 2, seed 1' in lines
    assert 'To do: 8 runs, 1 at once; time: 8 of a kind that has not ended yet' in lines
    assert list(tmp_path.iterdir()) == []


def test_finished_runs_are_not_repeated(tmp_path):
    plan = plan_of('k', tmp_path, values=['2', '3', '4'])
    direct = plan.cells['k = 2', 1].starts_from
    assert plan.pending() == [direct, *plan.cells.values()]
    finish(direct, stages=['direct_transfer'])
    finish(plan.cells['k = 2', 1])
    finish(plan.cells['k = 3', 1], stages=['direct_transfer'])  # it was stopped while it adapted
    finish(plan.cells['k = 4', 1])
    results = plan.cells['k = 4', 1].folder / 'results.json'
    results.write_text(results.read_text()[:-9])
    assert plan.pending() == [plan.cells['k = 3', 1], plan.cells['k = 4', 1]]
    # What another configuration left in the folder counts for nothing.
    record = plan.cells['k = 2', 1].folder / RECORD
    record.write_text(json.dumps({'identity': {'paul.k': 2}}))
    assert plan.cells['k = 2', 1] in plan.pending()
    # Without its weights, the pre-training is made again, for who needs it.
    direct.weights.unlink()
    assert plan.pending()[0] is direct


def test_times_of_finished_runs(tmp_path):
    plan = plan_of('k', tmp_path, values=['2', '3', '4'])
    runs = list(plan.cells.values())
    assert Estimates(tmp_path).seconds(runs[2]) is None
    finish(runs[0], seconds=100.0)
    finish(runs[1], seconds=200.0)
    estimates = Estimates(tmp_path)
    assert estimates.seconds(runs[2]) == 150
    assert estimates.seconds(runs[0].starts_from) is None  # it pre-trains
    longer = plan_of('k', tmp_path, 'train.max_epoch', '2', values=['2']).cells['k = 2', 1]
    assert estimates.seconds(longer) is None
    assert estimates.told([runs[2]] * 2, 1) == '5 min 0 s'
    assert estimates.told([longer, runs[2], runs[2]], 2) == '2 min 30 s and 1 of a kind that has not ended yet'
    assert estimates.told([], 1) == '0 s'
    assert [in_words(seconds) for seconds in (5, 65.4, 4320)] == ['5 s', '1 min 5 s', '1 h 12 min']


def test_mean_and_deviation():
    assert mean_and_deviation([1.0, 2.0, 6.0]) == (3.0, pytest.approx(7**0.5))  # (4 + 1 + 9) / 2
    assert mean_and_deviation([0.5]) == (0.5, None)
    assert [per_cent(values) for values in ([], [0.5], [0.5, 0.6])] == ['-', '50.0', '55.0 ± 7.1']


def test_a_table_in_parts(tmp_path):
    """Some seeds of some rows are there: what is not is '-', in no line of the CSV file and in no mean."""
    plan = plan_of('k', tmp_path, seeds=(1, 2, 3), values=['2', '3', '4'])
    finish(plan.cells['k = 2', 1], 0.5)
    finish(plan.cells['k = 2', 3], 0.6)
    finish(plan.cells['k = 4', 2], 0.7)
    found = measurements(plan)
    rows = list(csv.DictReader(as_csv(found).splitlines()))
    assert [(row['row'], row['seed'], row['mAP']) for row in rows] == [
        ('k = 2', '1', '0.5'), ('k = 2', '3', '0.6'), ('k = 4', '2', '0.7')
    ]  # fmt: skip
    lines = as_markdown(plan, found, 'python tools/ablate.py k').splitlines()
    table = {line.split(' | ')[0][2:]: line.split(' | ')[1:] for line in lines if line.startswith('| k')}
    assert table == {
        'k = 2': ['2', '55.0 ± 7.1', '60.0 ± 0.0', '55.0 ± 7.1', '50.0, -, 60.0 |'],
        'k = 3': ['0', '-', '-', '-', '-, -, - |'],
        'k = 4': ['1', '70.0', '60.0', '70.0', '-, 70.0, - |'],
    }
    assert draw(plan, found).startswith(b'\x89PNG')
    assert draw(plan, []).startswith(b'\x89PNG')


def test_several_targets(tmp_path):
    plan = plan_of('surrogate', tmp_path, '-t', 'synthetic_target', 'synthetic_source')
    run = plan.cells['all', 1]
    finish(run)
    of_one = {'mAP': 0.5, 'rank1': 1, 'rank5': 1, 'rank10': 1}
    of_both = {'synthetic_target': of_one, 'synthetic_source': of_one}
    (run.folder / 'results.json').write_text(json.dumps({'direct_transfer': of_both, 'adapted': of_both}))
    found = measurements(plan)
    assert [one.target for one in found] == list(of_both)
    assert as_markdown(plan, found, '').count('| all | 1 | 50.0 |') == 2
    assert draw(plan, found).startswith(b'\x89PNG')
    del of_both['synthetic_source']
    (run.folder / 'results.json').write_text(json.dumps({'adapted': of_both}))
    assert not run.finished()


# ---- real runs -----------------------------------------------------------------------------------------------------


def test_a_small_table(rendered, tmp_path, monkeypatch, capsys):
    """A pre-training, a row, and one that fails because it wants more neighbours than there are images."""
    forked = SimpleNamespace(Popen=ForkedModule, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT)
    monkeypatch.setattr(runs, 'subprocess', forked)  # which spares each of the three its imports
    options = ['--values', '3', '48', '--seeds', '5', '--jobs', '2', '--out', str(tmp_path)]
    with pytest.raises(SystemExit) as stop:
        command.main(tool, ['k', *options, *WORDS, '--root', str(rendered)])
    out, err = capsys.readouterr()
    assert stop.value.code == 1
    assert '[1/3] pre-training, seed 5: synthetic_target: mAP' in out
    (failed,) = err.splitlines()
    assert failed.startswith('failed: k = 48, seed 5: error: paul.k 48 needs more training images than that')
    assert Path(failed[failed.rindex('(') + 1 : -1]).is_file()

    plan = plan_of('k', tmp_path, '--root', str(rendered), seeds=[5], values=['3', '48'])
    run = plan.cells['k = 3', 5]
    assert plan.pending() == [plan.cells['k = 48', 5]]
    assert f'tensors from {run.starts_from.weights}' in (run.folder / 'output.log').read_text()
    results = json.loads((run.folder / 'results.json').read_text())
    transfer = json.loads((run.starts_from.folder / 'results_test.json').read_text())
    assert results['direct_transfer'] == transfer['direct_transfer']
    (row,) = csv.DictReader((tmp_path / 'k.csv').read_text().splitlines())
    assert {name: float(row[name]) for name in results['adapted']} == results['adapted']
    assert float(row['direct_transfer_mAP']) == results['direct_transfer']['mAP']
    assert float(row['seconds']) > 0
    assert f'| k = 3 | 1 | {100 * results["adapted"]["mAP"]:.1f} |' in (tmp_path / 'k.md').read_text()
    assert (tmp_path / 'k.png').read_bytes().startswith(b'\x89PNG')
    assert Estimates(tmp_path).seconds(plan.cells['k = 48', 5]) is not None


def test_a_signal_stops_the_runs(rendered, tmp_path):
    """Every process is gone when the program goes, and the folder is free again."""
    words = ['--root', str(rendered), 'train.max_epoch', '1000', 'paul.pretrain.config', '']
    plan = plan_of('k', tmp_path, *words, values=['2', '3'])
    started = []

    def stop_after_two(run):
        started.append(run)
        with pytest.raises(UserError, match='another ablation is running'):
            make_runs(plan, tmp_path, 1, stop_after_two, lambda run, reason: None)
        if len(started) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with stopping.stop_signals(), pytest.raises(stopping.Stopped):
        make_runs(plan, tmp_path, 2, stop_after_two, lambda run, reason: None)
    assert len(started) == 2
    with locked(tmp_path, 'still held'):  # the runs would hold the lock as long as they live
        pass
    assert len(plan.pending()) == 2


def test_weights_that_the_table_makes_itself(tmp_path):
    file = tmp_path / 'start.pth'
    torch.save({}, file)
    with pytest.raises(UserError, match='the table pretraining makes its weights: take it out'):
        plan_of('pretraining', tmp_path, 'model.load_weights', str(file))


def test_rendered_data_beside_others_need_a_seed_of_their_own(tmp_path):
    (tmp_path / 'dukemtmc-reid').mkdir()
    with pytest.raises(UserError, match='paul.synthetic.seed = -1: beside other data sets'):
        plan_of('k', tmp_path, '--root', str(tmp_path), '-t', 'synthetic_target', 'dukemtmcreid',
                'paul.synthetic.seed', '-1')  # fmt: skip
