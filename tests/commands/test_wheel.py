"""What a wheel holds: every module and config, the front beside the package, the command, and no benchmark."""

import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec

import pytest
from helpers.jobs import PROJECT

from paul_plugin.commands import benchmark
from paul_plugin.runtime.errors import UserError


@pytest.mark.skipif(not (find_spec('setuptools') and find_spec('pip')), reason='needs setuptools and pip')
def test_a_wheel_is_whole(tmp_path):
    source = tmp_path / 'source'
    for name in ('paul_plugin', 'configs', 'tools'):
        shutil.copytree(PROJECT / name, source / name, ignore=shutil.ignore_patterns('__pycache__', '*.egg-info'))
    for name in ('setup.py', 'README.md'):
        shutil.copy(PROJECT / name, source / name)
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-build-isolation', '--no-deps', '-w', tmp_path, source]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (info,) = {name.partition('/')[0] for name in names if '.dist-info/' in name}
        entry_points = archive.read(f'{info}/entry_points.txt').decode()
        metadata = archive.read(f'{info}/METADATA').decode()
    ours = {str(path.relative_to(PROJECT)) for path in (PROJECT / 'paul_plugin').rglob('*.py')}
    configs = {f'paul_plugin/configs/{path.name}' for path in (PROJECT / 'configs').glob('*.yaml')}
    expected = {*ours, *configs, 'paul_command.py', 'paul_plugin/py.typed', 'paul_plugin/report/page.html'}
    assert {name for name in names if not name.startswith(info)} == expected
    assert 'paul = paul_command:main' in entry_points
    assert 'Author: The PAUL plugin authors' in metadata


def test_an_installed_package_has_no_benchmark(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, 'TOOLS', tmp_path)
    with pytest.raises(UserError, match='^paul benchmark is for a checkout of the project'):
        benchmark.run(benchmark.parse([]))
