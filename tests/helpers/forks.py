"""Programs in forks of the server that has imported torch and the package: as `python -c` and `-m`, in no time."""

import os
import runpy
import sys

from programs.kill_and_resume import FORKS


def _run(text, words, *streams):
    for number, stream in enumerate(streams, 1):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdout, sys.stderr = (open(number, 'w', encoding='utf-8', closefd=False) for number in (1, 2))  # noqa: SIM115
    sys.argv = ['-c', *words]
    exec(compile(text, '-c', 'exec'), {'__name__': '__main__'})


class Fork:
    """The little of subprocess.Popen that tests need; both streams are pipes, and the folder is the test's."""

    def __init__(self, text: str, *words: object) -> None:
        pipes = [FORKS.Pipe(duplex=False) for _ in range(2)]
        self._process = FORKS.Process(target=_run, args=(text, [*map(str, words)], *(writer for _, writer in pipes)))
        self._process.start()
        for _, writer in pipes:
            writer.close()
        self.pid = self._process.pid
        self.stdout, self.stderr = (open(os.dup(reader.fileno()), encoding='utf-8') for reader, _ in pipes)  # noqa: SIM115

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float = 60) -> int | None:
        self._process.join(seconds)
        return self.poll()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """And waits for its end."""
        self._process.kill()
        self.wait()

    def communicate(self) -> tuple[str, str]:
        """What it writes until its end; to the error stream no more than a pipe holds."""
        told = self.stdout.read(), self.stderr.read()
        self.wait()
        return told


def _run_module(name: str, words: list[str], output: str) -> None:
    os.setsid()
    with open(output, 'ab') as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    sys.argv = ['-m', *words]
    runpy.run_module(name, run_name='__main__', alter_sys=True)


class ForkedModule:
    """Stands for the subprocess.Popen of `python -m MODULE ...` whose output goes to a file."""

    def __init__(self, command, stdout, **options) -> None:
        assert command[:2] == [sys.executable, '-m']
        self._process = FORKS.Process(target=_run_module, args=(command[2], command[3:], stdout.name))
        self._process.start()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int:
        self._process.join()
        return self._process.exitcode
