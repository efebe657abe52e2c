"""Large blocks of memory stay in the process: the next one of their size needs no new pages."""

import subprocess
import sys

from paul_plugin.runtime import allocator

PROGRAM = """
import resource, runpy
if {kept}:
    assert runpy.run_path({path!r})['keep_large_blocks']()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    len(b'x' * 2**27)  # 128 MiB, more than the C library's own threshold can become
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def new_pages(kept: bool) -> int:
    program = [sys.executable, '-c', PROGRAM.format(kept=kept, path=allocator.__file__)]
    return int(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


def test_a_large_block_is_used_again():
    assert new_pages(kept=True) < new_pages(kept=False) / 4
