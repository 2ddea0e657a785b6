"""Tables of configuration files: values are taken out one by one, and what is wrong is said with its place.

What it is: `Section`, for TOML and JSON, and spans of time with their limits. What it is not: which keys a
file has, and what they mean (`configfile`, `policyfile`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from notarypy import files
from notarypy.errors import Advice, ConfigurationError
from notarypy.storage.settings import servers, spans

_PIN = re.compile(r"[0-9a-fA-F]{64}")
# A request takes some time, and nobody waits longer than that.
_LEAST_SECONDS, _MOST_SECONDS = {"timeout": 0.001, "retry_for": 0.0}, 1_000_000
_PINS_NEVERTHELESS = ("trust_pinning", "certs", "disable_tofu")  # what nobody means otherwise, anywhere
_ALIKE = 0.7


class Section:
    """One table of a configuration file: takes values out, and complains with their place."""

    def __init__(self, values: Mapping[str, Any], where: str, path: Path, home: Path) -> None:
        """Keep the values and the place they are from."""
        self._values, self._where, self._path, self._home = values, where, path, home

    @classmethod
    def of_toml(cls, data: bytes, path: Path, home: Path) -> Section:
        """Read TOML; raise ConfigurationError."""
        import tomllib  # 3 ms, and most people have no file of settings

        try:
            return cls(tomllib.loads(data.decode("utf-8-sig")), "", path, home)
        except (ValueError, RecursionError) as error:
            raise _unreadable(path, "TOML", error) from error

    @classmethod
    def of_json(cls, data: bytes, path: Path, home: Path) -> Section:
        """Read one JSON object without duplicate members; raise ConfigurationError."""
        try:
            values = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            raise _unreadable(path, "JSON", error) from error
        if not isinstance(values, dict):
            raise ConfigurationError(f"{path} cannot be used", why="it is not a JSON object", path=str(path))
        return cls(values, "", path, home)

    def place(self, key: str) -> str:
        """Return where a key is, for people."""
        return f"{self._where}{key} in {self._path}"

    def problem(self, key: str, why: str, advice: Advice | None = None) -> ConfigurationError:
        """Return the error for a key's value."""
        message = f"{self.place(key)} cannot be used"
        facts = {"path": str(self._path), "key": self._where + key}
        return ConfigurationError(message, why=why, advice=advice, **facts)

    def require_known(self, *known: str) -> None:
        """Refuse other keys than these."""
        for key in self._values:
            if key not in known:
                raise self.problem(key, "there is no such key", Advice("known-keys", names=", ".join(known)))

    def unread(self, *known: str) -> list[str]:
        """Return where other keys than these are; refuse one that looks like those about pins."""
        if found := [key for key in self._values if key not in known]:
            import difflib  # few files have such keys

            fine = (key for key in found if not difflib.get_close_matches(key, _PINS_NEVERTHELESS, 1, _ALIKE))
            self.require_known(*known, *fine)
        return [self.place(key) for key in found]

    def lowered(self) -> Section:
        """Return the same table as Go's reader sees it: keys in lower case, without empty texts and null."""
        if len({key.lower() for key in self._values}) != len(self._values):
            raise self.problem("", "two keys differ only in case")
        found = {
            key.lower(): value for key, value in self._values.items() if value is not None and value != ""
        }
        return Section(found, self._where, self._path, self._home)

    def section(self, key: str) -> Section:
        """Return the table of a key; a missing one is empty."""
        value = self._values.get(key, {})
        if not isinstance(value, dict):
            raise self.problem(key, "it is not a table")
        return Section(value, f"{self._where}{key}.", self._path, self._home)

    def names(self) -> list[str]:
        """Return the keys in their order."""
        return list(self._values)

    def value(self, key: str) -> object:
        """Return a value of any type, or None."""
        return self._values.get(key)

    def text(self, key: str) -> str | None:
        """Return a text; an empty one is an error."""
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            raise self.problem(key, "it is not a text, or is empty")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; a missing one is empty."""
        values = self._values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.problem(key, "it is not a list of texts")
        return tuple(values)

    def flag(self, key: str) -> bool:
        """Return true or false; a missing one is false."""
        value = self._values.get(key, False)
        if not isinstance(value, bool):
            raise self.problem(key, "it is neither true nor false")
        return value

    def threshold(self, key: str, most: int) -> int:
        """Return how many of a list `any`, which has `most`, are wanted; 1 for a missing one."""
        value = self._values.get(key)
        if value is None:
            return 1
        if not most:
            raise self.problem(key, "it counts those of any, and there is none")
        if type(value) is not int or not 1 <= value <= most:
            raise self.problem(key, f"it is not a number from 1 to {most}")
        return value

    def seconds(self, key: str) -> float | None:
        """Return a number of seconds."""
        value = self._values.get(key)
        return None if value is None else seconds(value, key, self.place(key))

    def file(self, key: str, *, base: Path | None = None) -> Path | None:
        """Return a path relative to the file; `~/` is the home."""
        text = self.text(key)
        return None if text is None else self._expanded(text, base)

    def paths(self, key: str) -> tuple[Path, ...]:
        """Return a list of paths relative to the file; `~/` is the home; a missing one is empty."""
        texts = self.texts(key)
        if not all(texts):
            raise self.problem(key, "a name of a file is empty")
        return tuple(self._expanded(text) for text in texts)

    def _expanded(self, text: str, base: Path | None = None) -> Path:
        if text == "~" or text.startswith("~/"):
            return files.require_home(self._home) / text[2:]
        return (base or self._path.parent) / text

    def required_file(self, key: str) -> Path:
        """Return the path of a key that is there relative to the file; `~/` is the home."""
        found = self.file(key)
        if found is None:
            raise self.problem(key, "it names no file")
        return found

    def server(self, key: str) -> str | None:
        """Return the address of a Notary server."""
        text = self.text(key)
        return None if text is None else servers.server_url(text, self.place(key))

    def pins(self, key: str) -> tuple[str, ...]:
        """Return pins in lower case; an empty list is an error, a missing one is empty."""
        values = self.texts(key)
        if key in self._values and not values:
            raise self.problem(key, "it names no root", Advice("pin-nothing"))
        for value in values:
            if _PIN.fullmatch(value) is None:
                raise self.problem(key, f'"{value}" is not 64 hex digits')
        return tuple(value.lower() for value in values)


def seconds(value: object, name: str, place: str) -> float:
    """Return the seconds that the setting of this name may be; raise ConfigurationError naming the place."""
    number, shown = spans.seconds(value), str(value).lower() if isinstance(value, bool) else value
    if isinstance(value, str) and spans.too_long(value):
        number = math.inf
    least, why, advice = _LEAST_SECONDS[name], "", Advice("write-span")
    if number is None or math.isnan(number):
        why = f"{shown} is not a number of seconds, and no span of time"
    elif number < least:
        why = f"{shown} is too short: it is {least:g} seconds at the least"
    elif number > _MOST_SECONDS:
        why, advice = f"{shown} is too long", Advice("write-shorter-span", most=f"{_MOST_SECONDS} seconds")
    else:
        return number
    raise ConfigurationError(f"{place} cannot be used", why=why, advice=advice)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same member twice")
    return members


def _unreadable(path: Path, kind: str, error: Exception) -> ConfigurationError:
    why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return ConfigurationError(f"{path} is not {kind}", why=why, path=str(path))
