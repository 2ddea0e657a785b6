"""Programs of `scripts/` that are Python, as modules."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[2] / "scripts"


def loaded(name: str) -> Any:  # noqa: ANN401 - a module that no type checker knows
    """Import a program by its path below the folder, whatever it is called."""
    path = SCRIPTS / name
    loader = importlib.machinery.SourceFileLoader(re.sub(r"\W", "_", path.stem), str(path))
    specification = importlib.util.spec_from_loader(loader.name, loader)
    assert specification is not None
    module = importlib.util.module_from_spec(specification)
    loader.exec_module(module)
    return module
