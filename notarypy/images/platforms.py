"""Platforms of images: one spelling for each.

What it is: `os/architecture[/variant]` in the words of the OCI image specification, other names of the same
included, by the rules of containerd. What it is not: the choice of an image (`tree`).
"""

from __future__ import annotations

import re

_PLATFORM = re.compile(r"([a-z0-9]+)/([a-z0-9_-]+)(?:/([a-z0-9]+))?")
_ALONE = re.compile(
    "amd64|arm64|arm|386|ppc64le|s390x|riscv64|mips64le|loong64|x86_64|x86-64|aarch64|i386|armhf|armel"
)
_SYSTEMS = {"macos": "darwin"}
_MACHINES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386"}
_MACHINES |= {"armhf": "arm", "armel": "arm"}
_USUAL = {("amd64", "v1"): "", ("arm64", "v8"): "", ("arm64", "8"): "", ("arm", ""): "v7"}
_USUAL |= {("arm", number): f"v{number}" for number in "5678"}


def completed(text: str) -> str:
    """Return a platform with its system; a known machine alone is one of Linux, as for docker."""
    return f"linux/{text}" if _ALONE.fullmatch(text.lower()) else text


def parts(text: str) -> tuple[str, str, str] | None:
    """Return system, machine and variant, which may be empty; None for what is not one platform."""
    match = _PLATFORM.fullmatch(completed(text).lower())
    if match is None:
        return None
    variant = match[3] or {"armel": "v6"}.get(match[2], "")
    machine = _MACHINES.get(match[2], match[2])
    return _SYSTEMS.get(match[1], match[1]), machine, _USUAL.get((machine, variant), variant)


def normal(text: str) -> str:
    """Return a platform in its usual spelling; what is none stays as it is."""
    found = parts(text)
    return text if found is None else "/".join(filter(None, found))
