"""The house's rules: who may import whom and touch what, how long a file and a function may be, what is documented."""

import ast
import functools
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torchreid
from importlinter.cli import lint_imports

import paul_plugin

PROJECT = Path(__file__).parents[1]
OURS = sorted((PROJECT / 'paul_plugin').rglob('*.py'))
FILES = [*OURS, *sorted((PROJECT / 'tools').rglob('*.py')), *sorted((PROJECT / 'tests').rglob('*.py'))]
TABLES = {'paul_plugin/config/keys.py'}  # one line a key: as long as there are keys


def name_of(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def test_rooms_import_only_downward(monkeypatch, capsys):
    monkeypatch.chdir(PROJECT)
    status = lint_imports('.importlinter', no_cache=True)
    assert status == 0, capsys.readouterr().out


def test_files_are_short():
    lines = {name_of(path): len(path.read_text().splitlines()) for path in FILES}
    assert {name for name, count in lines.items() if count > 350} - TABLES == set()


def test_functions_are_short():
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 60:
                found.append(f'{name_of(path)}: {node.name}')
    assert found == []


def test_every_public_name_is_documented():
    assert [name for name in paul_plugin.__all__ if not getattr(paul_plugin, name).__doc__] == []


# ---- only host/ reaches into torchreid -----------------------------------------------------------------------------


@functools.cache
def private_attributes() -> set[str]:
    """The attributes of torchreid's engines, data managers and data sets that begin with one underscore."""
    classes = (torchreid.engine.Engine, torchreid.engine.ImageTripletEngine, torchreid.data.ImageDataManager)
    found = set()
    for module in {sys.modules[cls.__module__] for cls in (*classes, torchreid.data.ImageDataset)}:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            name = getattr(node, 'attr', getattr(node, 'name', None))
            if isinstance(name, str) and re.match('_[^_]', name):
                found.add(name)
    return found


def root_of(node: ast.AST) -> str:
    """The name that a chain of attributes begins with."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ''


def names_of_torchreid(tree: ast.AST) -> tuple[set[str], list[str]]:
    """The names in a file that stand for torchreid or something of it, and its imports that name a module inside."""
    names, inside = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            ours = [alias for alias in node.names if alias.name.partition('.')[0] == 'torchreid']
            names |= {alias.asname or 'torchreid' for alias in ours}
            inside += [f'line {node.lineno}: imports {alias.name}' for alias in ours if '.' in alias.name]
        elif isinstance(node, ast.ImportFrom) and (node.module or '').partition('.')[0] == 'torchreid':
            names |= {alias.asname or alias.name for alias in node.names}
            inside += [f'line {node.lineno}: imports from {node.module}'] * ('.' in node.module)
    return names, inside


def intrusions(source: str, private: set[str]) -> Iterator[str]:
    """What a file does with torchreid that its public names do not offer, a line each.

    Modules inside of torchreid are not public: PyPI's package and upstream have them in different places.
    """
    tree = ast.parse(source)
    theirs, inside = names_of_torchreid(tree)
    yield from inside
    for node in ast.walk(tree):
        where = f'line {getattr(node, "lineno", 0)}'
        if isinstance(node, ast.Constant) and re.fullmatch(r'__\w*[^_\W]', str(node.value)):
            yield f'{where}: names the private table {node.value}'
        elif isinstance(node, ast.ImportFrom) and 'module_of' in {alias.name for alias in node.names}:
            yield f"{where}: takes a module of torchreid by host's function"
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == 'sys.modules':
            if ast.unparse(node.slice) != "'paul_plugin'":
                yield f'{where}: looks into {ast.unparse(node)}'
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == 'setattr' and root_of(node.args[0]) in theirs:
            yield f'{where}: replaces something of {ast.unparse(node.args[0])}'
        elif isinstance(node, ast.Attribute):
            is_theirs = root_of(node) in theirs
            if node.attr in private or (is_theirs and node.attr.startswith('_')):
                yield f'{where}: touches the private {ast.unparse(node)}'
            elif is_theirs and isinstance(node.ctx, ast.Store):
                yield f'{where}: replaces {ast.unparse(node)}'


def test_only_host_reaches_into_torchreid():
    found = {name_of(path): [*intrusions(path.read_text(), private_attributes())] for path in OURS}
    assert {name: of for name, of in found.items() if of and '/host/' not in name} == {}
    assert [name for name, of in found.items() if of] != []  # host/ does


@pytest.mark.parametrize(
    'source',
    [
        'import torchreid.reid.engine',
        'from torchreid.reid.models import build_model',
        "models.__dict__['__model_factory']",
        'import sys; sys.modules[thing.__module__].read_image = read',
        'from ..host import module_of',
        'import torchreid; setattr(torchreid.models, name, ours)',
        'import torchreid; torchreid.models.build_model = ours',
        'from torchreid import metrics as m; m.evaluate_rank = ours',
        'from torchreid import data; data.ImageDataset.__init__',
        'engine._models.keys()',
    ],
)
def test_intrusions_are_found(source):
    assert len(list(intrusions(source, private_attributes()))) == 1


def test_public_names_are_no_intrusion():
    source = """
import sys, torchreid
package = sys.modules['paul_plugin']
torchreid.models.build_model('__name__', package.__version__)
self.datamanager.train_loader = self._own = setattr(self, 'x', 1)
"""
    assert list(intrusions(source, private_attributes())) == []
