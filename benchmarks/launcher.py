"""The program that starts what is measured: small, so that its own memory does not count as theirs.

Linux counts the memory of the process that another is started from for that one, too. The benchmark itself is
large, so this one stands between: a bare interpreter, about 9 MiB, below which nothing can be seen. It reads
(argv, environment, path of the output) and writes (exit code, seconds, user and system seconds of the
processor, peak KiB), marshalled, until its input ends.
"""

from __future__ import annotations

import marshal
import os
import sys
import time


def measure(
    argv: list[str], environment: dict[str, str], output: str
) -> tuple[int, float, float, float, int]:
    """Run a program to its end, with nothing to read, and return what it cost."""
    opened = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, output, opened, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    begin = time.perf_counter()
    process = os.posix_spawn(argv[0], argv, environment, file_actions=files)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - begin
    code = os.waitstatus_to_exitcode(status)
    return code, seconds, usage.ru_utime, usage.ru_stime, usage.ru_maxrss


def main() -> None:
    """Serve until the input ends."""
    while True:
        try:
            argv, environment, output = marshal.load(sys.stdin.buffer)  # noqa: S302 - from our own parent
        except EOFError:
            return
        marshal.dump(measure(argv, environment, output), sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
