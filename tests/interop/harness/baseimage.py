"""A base for images out of what this machine has: its Python, a shell, and the libraries that these load.

What it is: in the place of an image such as `python:3-slim`, where there is no network to bring one. What it
is not: a system; it has what a build of `Containerfile` needs, and nothing else.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

PREFIX = "usr/local"
LIBRARY = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
# What the dynamic linker looks for by itself, wherever the machine's Python has it.
LINKED = "usr/lib"
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"
# Libraries of C that packages of Python load, or that are loaded when a thread ends or a name is looked up.
LOADED_LATER = (
    *("libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libm.so.6"),
    *("libgcc_s.so.1", "libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"),
)
_SKIPPED = shutil.ignore_patterns(
    "site-packages", "dist-packages", "test", "tests", "__pycache__", "config-*"
)
_LOADED = re.compile(r"(?:=> |^\s*)(/\S+) \(0x", re.MULTILINE)


def make(root: Path, pip: Path) -> None:
    """Lay out the file system of the base below `root`; `pip` is the package of that name."""
    for name in ("bin", "etc", "tmp", "proc", "sys", "dev", "root", "var/lib", LINKED, f"{PREFIX}/bin"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\n")
    standard = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(standard, root / PREFIX / LIBRARY, ignore=_SKIPPED, symlinks=False)
    packages = root / PREFIX / LIBRARY / "site-packages"
    shutil.copytree(pip, packages / "pip")
    for information in pip.parent.glob("pip-*.dist-info"):
        shutil.copytree(information, packages / information.name)
    interpreter = Path(sys.executable).resolve()
    for name in ("python3", "python"):
        shutil.copy(interpreter, root / PREFIX / "bin" / name)
    shutil.copy(Path("/bin/sh").resolve(), root / "bin" / "sh")
    for name, bits in (("su", 0o4755), ("wall", 0o2755)):  # programs as bases have them
        (root / "bin" / name).touch()
        (root / "bin" / name).chmod(bits)
    programs = [interpreter, Path("/bin/sh"), *(standard / "lib-dynload").glob("*.so")]
    for library in sorted(set().union(*map(_loaded, programs)) | _loaded_later()):
        _copy(Path(library), root)
    if Path("/", AUTHORITIES).exists():
        _copy(Path("/", AUTHORITIES), root)


def _loaded(program: Path) -> set[str]:
    """Return the libraries that a program or a library loads."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return set(_LOADED.findall(done.stdout))


def _loaded_later() -> set[str]:
    (folder,) = {str(Path(each).parent) for each in _loaded(Path("/bin/sh")) if "/libc.so" in each}
    return {f"{folder}/{name}" for name in LOADED_LATER if Path(folder, name).exists()}


def _copy(path: Path, root: Path) -> None:
    """Copy a file to its own place, or where the linker finds it if the path is this machine's alone."""
    usual = path.parts[1] in {"lib", "lib64", "usr", "etc"}
    target = root / path.relative_to("/") if usual else root / LINKED / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path.resolve(), target)
