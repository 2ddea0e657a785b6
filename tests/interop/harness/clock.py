"""Clocks that are moved for one process, programs in Go included.

libfaketime stands between a program and its C library. Go has none: it asks the code for time that the kernel
puts into every process.

1. That code is replaced, in this one process, by some that asks the kernel and adds seconds. It may be
   replaced again while the process runs: a server's clock moves on.
2. A process that is started with a moved clock is stopped before its first instruction, so that it never
   sees another time. Who starts it has to let it go, in the same thread.
3. Only the time of day moves. Time-outs are counted by another clock, and stay what they are.
4. The code is for x86-64.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 86400
_LIBC = ctypes.CDLL(None, use_errno=True)
_TRACEME, _DETACH = 0, 17
_CODE_OF_THE_KERNEL = 33  # AT_SYSINFO_EHDR: where it is
_DYNAMIC, _STRINGS, _SYMBOLS = 2, 5, 6  # PT_DYNAMIC, DT_STRTAB, DT_SYMTAB
_PAGES = 8192
# clock_gettime(clock, where): ask the kernel; for clock 0, the time of day, add to the seconds; return 0.
_BEFORE, _AFTER = bytes.fromhex("b8e4000000 0f05 85ff 7507 488106"), bytes.fromhex("c3")


def traced() -> None:
    """Let this process, which is about to run a program, be stopped before its first instruction (rule 2)."""
    _LIBC.ptrace(_TRACEME, 0, None, None)


def released(pid: int, seconds: int) -> None:
    """Move the clock of a process that was stopped at its beginning, and let it go (rule 2)."""
    _, status = os.waitpid(pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status) or os.WSTOPSIG(status) != signal.SIGTRAP:
        raise RuntimeError(f"process {pid} did not stop at its beginning: status {status}")
    move(pid, seconds)
    if _LIBC.ptrace(_DETACH, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"process {pid} cannot be let go")


def move(pid: int, seconds: int) -> None:
    """Let the clock of a process be so many seconds ahead of the machine's (rule 1)."""
    if platform.machine() != "x86_64":
        raise LookupError("clocks of Go programs can be moved on x86-64 alone")
    auxiliary = struct.iter_unpack("QQ", Path(f"/proc/{pid}/auxv").read_bytes())
    start = next(value for kind, value in auxiliary if kind == _CODE_OF_THE_KERNEL)
    with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory:
        memory.seek(start + _place(memory, start))
        memory.write(_BEFORE + struct.pack("<i", seconds) + _AFTER)


def _place(memory: BinaryIO, start: int) -> int:
    """Return where `clock_gettime` begins in the code of the kernel, which is a shared library."""
    memory.seek(start)
    library = memory.read(_PAGES)
    [at], [count] = struct.unpack_from("<Q", library, 32), struct.unpack_from("<H", library, 56)
    parts = (struct.unpack_from("<IIQQQQQQ", library, at + 56 * number) for number in range(count))
    dynamic = dict(_entries(library, next(part[2] for part in parts if part[0] == _DYNAMIC)))
    strings = library[dynamic[_STRINGS] :]
    for symbol in range(dynamic[_SYMBOLS], dynamic[_STRINGS], 24):
        name, _, _, _, value, size = struct.unpack_from("<IBBHQQ", library, symbol)
        if strings[name:].startswith(b"__vdso_clock_gettime\0"):
            assert size > len(_BEFORE) + 4 + len(_AFTER), "its code is too short to be replaced"
            return int(value)
    raise LookupError("the kernel's code for time is not where it was")


def _entries(library: bytes, at: int) -> Iterator[tuple[int, int]]:
    for kind, value in struct.iter_unpack("<QQ", library[at : at + 16 * 64]):
        if kind == 0:
            return
        yield kind, value
