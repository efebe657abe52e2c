"""Files that are looked at before they are opened."""

import os

from paul_plugin.runtime.files import is_special


def test_special_files(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'file').write_bytes(b'')
    (tmp_path / 'link').symlink_to(tmp_path / 'pipe')
    (tmp_path / 'nowhere').symlink_to(tmp_path / 'none')
    special = {name: is_special(tmp_path / name) for name in ('pipe', 'link', 'file', 'nowhere', 'none', '.')}
    assert special == {'pipe': True, 'link': True, 'file': False, 'nowhere': False, 'none': False, '.': False}
    assert is_special('/dev/zero')
    assert not is_special('a\0b')
