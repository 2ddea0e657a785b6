"""Running the command line in this process, with a client that is scripted or talks to the fake.

What it is: what the tests of the command line share. What it is not: a second command
line; `run` of the real one is called.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from notarypy.client import workers
from notarypy.limits import DEFAULT, Limits
from notarypy.storage.settings.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Run = Callable[..., "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        """Standard output, read as JSON."""
        return json.loads(self.out)

    def expect(self, code: int) -> Outcome:
        """Insist on an exit code, showing everything if it is another one."""
        assert self.code == code, f"exit {self.code}\n{self.out}\n{self.err}"
        return self


@dataclass
class StubClient:
    """A client that answers as the test says, and notes what it is asked.

    Attributes:
        answers: By method, as `keys.find`: a value to return, an exception to raise, or a function to call.
        calls: Method, positional and named arguments of every call.
        options: The global options that the client was opened with.
        limits: What the client was to take at most.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    asking: bool | None = None
    first_uses: tuple[Any, ...] = ()
    limits: Limits = DEFAULT
    warn: Callable[[str], None] = print
    settings: Settings = field(
        default_factory=lambda: load({"trust_dir": "/trust"}, {}, Path("/home/nobody"))
    )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    @property
    def keys(self) -> StubGroup:
        """The calls about keys."""
        return StubGroup(self, "keys")

    @property
    def images(self) -> StubGroup:
        """The calls about whole images."""
        return StubGroup(self, "images")

    @property
    def archives(self) -> StubGroup:
        """The calls about trust archives."""
        return StubGroup(self, "archives")

    @property
    def migration(self) -> StubGroup:
        """The calls about the way out."""
        return StubGroup(self, "migration")

    @property
    def upkeep(self) -> StubGroup:
        """The calls about what is rarely needed."""
        return StubGroup(self, "upkeep")

    def verify_each(self, references: Sequence[str], **named: object) -> Iterator[workers.Outcome[Any]]:
        """Answer for each reference as `verify_unless_skipped` is scripted."""
        for text in references:
            yield from workers.outcomes([partial(self.verify_unless_skipped, text, **named)])

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method that answers as scripted; what is not scripted must not be called."""
        if name.startswith("_") or name not in self.answers:
            raise AttributeError(f"the command called {name}, which is not scripted")

        def method(*args: object, **named: object) -> Any:  # noqa: ANN401 - whatever the test scripted
            self.calls.append((name, args, named))
            answer = self.answers[name]
            if callable(answer) and not isinstance(answer, type):
                answer = answer(*args, **named)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return method


@dataclass
class StubGroup:
    """A group of calls of a scripted client."""

    client: StubClient
    name: str

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method of the client, under the name of the group."""
        method: Callable[..., Any] = getattr(self.client, f"{self.name}.{name}")
        return method


def written(path: Path, data: str | bytes) -> str:
    """Write a file and return its name."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)
