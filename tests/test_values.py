"""Value classes behave as those that `dataclasses` makes, and `dataclasses` takes them for its own."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import sys
from typing import Any, ClassVar

import pytest

from notarypy.errors import Advice
from notarypy.limits import DEFAULT, Limits
from notarypy.tuf.fields import FileEntry, MetaFile, TargetFile, UnusableEntry
from notarypy.values import dataclass, field, replace
from support.loaded import loaded_by


@dataclass(frozen=True)
class Pair:
    """Two fields, one with a default."""

    kind: ClassVar[str] = "pair"
    left: int
    right: list[int] = field(default_factory=list)
    noted: str = field(default="", repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.left < 0:
            raise ValueError("negative")


@dataclass(frozen=True)
class Longer(Pair):
    """Another field, and another default."""

    noted: str = "longer"
    third: tuple[int, ...] = ()


@dataclass
class Open:
    """May be changed; what it remembers is no argument."""

    name: str
    seen: dict[str, int] = field(default_factory=dict, init=False)
    late: int = field(init=False)


@dataclasses.dataclass(frozen=True)
class PairBefore:
    kind: ClassVar[str] = "pair"
    left: int
    right: list[int] = dataclasses.field(default_factory=list)
    noted: str = dataclasses.field(default="", repr=False, compare=False)


@dataclass
class Empty:
    """No fields."""


class Renamed(Pair):
    """Inherits without being a value class of its own."""

    __slots__ = ()


def test_values_are_made_by_position_and_by_name() -> None:
    expected = {"left": 1, "right": [2], "noted": "n"}
    assert vars(Pair(1, [2], "n")) == vars(Pair(left=1, right=[2], noted="n")) == expected
    assert vars(Pair(1, noted="n", right=[2])) == expected
    assert vars(Pair(1)) == {"left": 1, "right": [], "noted": ""}
    assert Pair(1).right is not Pair(1).right
    assert vars(Longer(1)) == {"left": 1, "right": [], "noted": "longer", "third": ()}
    assert vars(Empty()) == {}


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), ((1, [], "", 4), {}), ((1,), {"left": 1}), ((1,), {"other": 1}), ((), {"right": []})],
)
def test_wrong_arguments_are_type_errors(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    for cls in (Pair, PairBefore):
        with pytest.raises(TypeError):
            cls(*values, **named)


def test_what_comes_after_is_called_for_each_way_of_making_one() -> None:
    for cls in (Pair, Longer):
        with pytest.raises(ValueError, match="negative"):
            cls(-1, [], "")
        with pytest.raises(ValueError, match="negative"):
            cls(left=-1)
        with pytest.raises(ValueError, match="negative"):
            replace(cls(1), left=-1)


def test_comparing_hashing_and_showing_are_as_those_of_dataclasses() -> None:
    assert Pair(1, [2], "a") == Pair(1, [2], "b") != Pair(1, [3], "a")
    assert repr(Pair(1, [2], "secret")) == repr(PairBefore(1, [2], "secret")).replace("Before", "")
    around = Pair(1)
    around.right.append(around)  # type: ignore[arg-type]
    assert repr(around) == "Pair(left=1, right=[...])"
    assert Pair(1) != Longer(1)
    assert Pair(1).__eq__(1) is NotImplemented
    assert hash(Advice) is not None
    assert hash(FileEntry(1, ())) == hash(FileEntry(1, ())) != hash(FileEntry(2, ()))  # type: ignore[arg-type]
    assert Empty() == Empty()
    with pytest.raises(TypeError, match="unhashable"):
        hash(Open("a"))
    match Longer(1, [2], "n", (3,)):
        case Longer(left, right, noted, third):
            assert (left, right, noted, third) == (1, [2], "n", (3,))


def test_frozen_values_stay_as_they_are() -> None:
    for value in (Pair(1), Longer(1), Renamed(1), FileEntry(1, {}), TargetFile(1, {})):
        name = next(iter(value.__dataclass_fields__))
        with pytest.raises(dataclasses.FrozenInstanceError, match=name):
            setattr(value, name, 2)
        with pytest.raises(dataclasses.FrozenInstanceError, match=name):
            delattr(value, name)
    with pytest.raises(AttributeError):
        Pair(1).unknown = 1  # type: ignore[attr-defined]
    assert not hasattr(FileEntry(1, {}), "__dict__")
    changed = Open("a")
    changed.name, changed.late = "b", 3
    assert (changed.name, changed.late, changed.seen) == ("b", 3, {})
    assert not hasattr(Open("a"), "late")


def test_dataclasses_takes_them_for_its_own() -> None:
    value = Longer(1, [2])
    assert dataclasses.is_dataclass(Longer)
    assert dataclasses.is_dataclass(value)
    assert dataclasses.asdict(value) == {"left": 1, "right": [2], "noted": "longer", "third": ()}
    assert dataclasses.replace(value, left=3) == Longer(3, [2])
    fields = {each.name: each for each in dataclasses.fields(Pair)}
    before = {each.name: each for each in dataclasses.fields(PairBefore)}
    assert fields.keys() == before.keys()
    for name, each in fields.items():
        for trait in ("type", "default", "default_factory", "init", "repr", "compare"):
            assert getattr(each, trait) == getattr(before[name], trait)
    assert [each.name for each in dataclasses.fields(Open) if each.init] == ["name"]
    assert {each.name for each in dataclasses.fields(Limits)} == set(Limits.__annotations__)
    assert dataclasses.replace(DEFAULT, root_bytes=1) == Limits(root_bytes=1)
    assert not dataclasses.is_dataclass(int)


def test_a_dataclass_may_inherit() -> None:
    @dataclasses.dataclass(frozen=True)
    class Mine(Pair):
        more: int = 0

    assert repr(Mine(1, [], "", 5)).endswith("Mine(left=1, right=[], more=5)")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Mine(1).left = 2  # type: ignore[misc]
    with pytest.raises(TypeError, match="frozen"):

        @dataclasses.dataclass
        class Thawed(Pair):  # type: ignore[misc]
            pass


def test_values_are_replaced() -> None:
    assert replace(Longer(1, third=(2,)), left=3) == Longer(3, third=(2,))
    assert replace(FileEntry(1, {"a": b""}), length=2) == FileEntry(2, {"a": b""})
    unusable = UnusableEntry(0, {}, None, [1], "why")
    assert replace(unusable, why="x") == UnusableEntry(0, {}, None, [1], "x")
    assert type(replace(MetaFile(1, {}), length=2)) is MetaFile
    with pytest.raises(TypeError, match="unexpected"):
        replace(Pair(1), other=1)  # type: ignore[call-arg]
    if sys.version_info >= (3, 13):
        assert copy.replace(Pair(1), left=2) == Pair(2)


@pytest.mark.parametrize(
    "value",
    [Pair(1, [2]), Longer(1), Empty(), FileEntry(1, {"a": b"b"}), TargetFile(1, {}, "c"),
     Limits(root_bytes=5), UnusableEntry(0, {}, None, [1], "why"), Advice("init", gun="g")],
)  # fmt: skip
def test_values_are_copied_and_pickled(value: object) -> None:
    for again in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert again == value
        assert type(again) is type(value)


def test_signatures_are_those_of_dataclasses() -> None:
    assert str(inspect.signature(Pair)) == str(inspect.signature(PairBefore))
    assert list(inspect.signature(Open).parameters) == ["name"]
    assert list(inspect.signature(FileEntry).parameters) == ["length", "hashes", "custom"]


def test_making_and_using_values_imports_nothing_of_dataclasses() -> None:
    _, modules = loaded_by(
        "from notarypy.limits import EXTENDED; import notarypy.client.results;"
        "from notarypy.client.parameters import VerifyOptions as V; V(root='a') == V() or hash(V())"
    )
    assert not {"dataclasses", "inspect", "ast"} & modules
