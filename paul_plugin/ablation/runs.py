"""Makes the runs of a table: processes of the job, several at once if wanted, stopped and resumed with this one."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..config.arguments import cores
from ..engines.state import software
from ..runtime import stopping
from ..runtime.errors import printable
from ..runtime.files import write_atomically
from ..runtime.lock import locked
from .plan import RECORD, Plan, Run, read_record

OUTPUT = 'output.log'  # in a run's folder: what its last process wrote to both streams
_POLL = 0.2  # seconds between two looks at the processes


def cores_of_each(jobs: int) -> int:
    """Cores that each of several runs at once has; a number that the user has set (OMP_NUM_THREADS) stays."""
    set_by_user = os.environ.get('OMP_NUM_THREADS', '')
    return int(set_by_user) if set_by_user.isdigit() else max(1, cores() // jobs)


class _Process:
    """A process that makes a run; what it took is noted beside the run."""

    def __init__(self, run: Run, threads: int | None, lock: tuple[int, ...]) -> None:
        self.run = run
        self.start = time.monotonic()
        command = [sys.executable, '-m', 'paul_plugin', 'train', *run.words]
        run.folder.mkdir(parents=True, exist_ok=True)
        before = read_record(run.folder)
        self.record = {
            'command': command,
            'identity': run.identity,
            'software': software(),
            'seconds': before.get('seconds', 0.0) if before.get('identity') == run.identity else 0.0,
            'finished': False,
        }
        self.write_record()
        # A session of its own: Ctrl-C in the terminal reaches this process alone, which then asks each other once.
        with open(run.folder / OUTPUT, 'wb') as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ if threads is None else {**os.environ, 'OMP_NUM_THREADS': str(threads)},
                start_new_session=True,
                pass_fds=lock,
            )

    def write_record(self) -> None:
        write_atomically(json.dumps(self.record, indent=1) + '\n', self.run.folder / RECORD)

    def end(self) -> str:
        """Waits for the end, and notes it; returns what went wrong, or an empty string."""
        status = self.process.wait()
        self.record['seconds'] += time.monotonic() - self.start
        self.record['finished'] = status == 0 and self.run.finished()
        self.write_record()
        return '' if self.record['finished'] else _last_error(self.run.folder / OUTPUT, status)


def _last_error(path: Path, status: int) -> str:
    """The last line of a failed process' error, and where the others are."""
    lines = [line.strip() for line in path.read_text(errors='replace').splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith('error: ')]
    return f'{(errors or lines or [f"exit status {status}"])[-1]} ({printable(path)})'


def make_runs(
    plan: Plan, out: Path, jobs: int, started: Callable[[Run], None], ended: Callable[[Run, str], None]
) -> dict[str, str]:
    """Makes the pending runs of a plan; the failure of one does not stop the others.

    Args:
        plan: of `make_plan`.
        out: the folder of the results.
        jobs: runs at once; more than one share the machine's cores.
        started: called with each run that starts.
        ended: called with each run that has ended, and with what went wrong.

    Returns:
        The failed runs: name -> reason.

    Raises:
        Stopped: when asked to; the runs that were going on have saved their state, and go on next time.
        UserError: if another ablation is running in the folder.
    """
    failed: dict[str, str] = {}
    threads = cores_of_each(jobs) if jobs > 1 else None
    refusal = f'another ablation is running in {printable(out)}: wait for it, or give another --out'
    with locked(out, refusal) as lock, _stopped_at_the_end() as processes:
        waiting = plan.pending()
        while waiting or processes:
            stopping.check()
            for process in [process for process in processes if process.process.poll() is not None]:
                processes.remove(process)
                reason = process.end()
                if reason:
                    failed[process.run.name] = reason
                ended(process.run, reason)
            for run in [run for run in waiting if run.starts_from and run.starts_from.name in failed]:
                waiting.remove(run)
                failed[run.name] = f'its weights are missing: {run.starts_from.name} failed'
                ended(run, failed[run.name])
            busy = [*waiting, *(process.run for process in processes)]
            ready = (run for run in waiting if run.starts_from not in busy)
            run = next(ready, None) if len(processes) < jobs else None
            if run is not None:
                waiting.remove(run)
                started(run)
                processes.append(_Process(run, threads, lock))
            elif processes:
                time.sleep(_POLL)
    return failed


@contextlib.contextmanager
def _stopped_at_the_end() -> Iterator[list[_Process]]:
    """Processes that are asked to save and stop if they still run at the end, and waited for."""
    processes: list[_Process] = []
    try:
        yield processes
    finally:
        for process in processes:
            process.process.terminate()
        for process in processes:
            process.end()
