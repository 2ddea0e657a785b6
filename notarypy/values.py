"""Value classes: what `dataclasses` gives, without the code that it generates at each start.

What it is: `dataclass`, `field` and `replace` of the module `dataclasses`, as far as they are used here; to
type checkers they are those. What it is not: another kind of class. Whoever asks (`dataclasses.fields`,
`asdict`, `replace`, `is_dataclass`, `inspect.signature`, a dataclass that inherits) finds a dataclass.

Rules:

1. Making a class compiles nothing: one made by `dataclasses` costs half a millisecond at each start, one made
   here some microseconds. Importing `dataclasses` costs ten milliseconds, for what generating code needs.
2. What `dataclasses` would know of a class is made when somebody asks for it.
3. As there, what a class defines itself stays; assigning to a frozen value raises FrozenInstanceError, and
   arguments that do not fit a TypeError.
4. A class of which there may be as many as there are tags has an `__init__` of its own, which is quicker.
"""

from __future__ import annotations

from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass, field, replace  # noqa: TID251 -- what they are to type checkers

__all__ = ["dataclass", "field", "replace"]

_T = TypeVar("_T")
_MISSING = object()
_ASKED = ("__dataclass_fields__", "__dataclass_params__", "__signature__")
_set = object.__setattr__


class _Field:
    """What is known of a field: its default or what makes one, and what it takes part in."""

    __slots__ = ("compare", "default", "factory", "init", "kind", "repr")

    def __init__(
        self,
        *,
        default: object = _MISSING,
        default_factory: Any = _MISSING,  # noqa: ANN401 -- whatever makes a value
        init: bool = True,
        repr: bool = True,  # noqa: A002 -- as `dataclasses` calls it
        compare: bool = True,
    ) -> None:
        self.default, self.factory, self.kind = default, default_factory, ""
        self.init, self.repr, self.compare = init, repr, compare


class _Shape:
    """The fields of a class in their order, and how arguments become their values."""

    def __init__(self, cls: type, *, frozen: bool, kw_only: bool) -> None:
        self.name, self.frozen, self.kw_only = cls.__qualname__, frozen, kw_only
        self.fields: dict[str, _Field] = {}
        for base in reversed(cls.__mro__[1:]):
            self.fields |= vars(base)["__shape__"].fields if "__shape__" in vars(base) else {}
        self.fields |= _own_fields(cls)
        self.given = tuple(name for name, each in self.fields.items() if each.init)
        self.by_position = () if kw_only else self.given
        self._dataclass: type | None = None

    def shown(self, trait: str) -> tuple[str, ...]:
        """Return the names of the fields that take part in something."""
        return tuple(name for name, each in self.fields.items() if getattr(each, trait))

    def arranged(self, values: tuple[object, ...], named: dict[str, object]) -> dict[str, object]:
        """Return the value of each field that has one; raise TypeError for arguments that do not fit."""
        if len(values) > len(self.by_position):
            raise TypeError(f"{self.name}() takes {len(self.by_position)} arguments, not {len(values)}")
        state = dict(zip(self.by_position, values, strict=False))
        if twice := state.keys() & named.keys():
            raise TypeError(f"{self.name}() got multiple values for argument {min(twice)!r}")
        if unknown := named.keys() - set(self.given):
            raise TypeError(f"{self.name}() got an unexpected keyword argument {min(unknown)!r}")
        state |= named
        for name, each in self.fields.items():
            if name not in state:
                self._fill(state, name, each)
        return state

    def _fill(self, state: dict[str, object], name: str, missing: _Field) -> None:
        if missing.factory is not _MISSING:
            state[name] = missing.factory()
        elif missing.default is not _MISSING:
            state[name] = missing.default
        elif missing.init:
            raise TypeError(f"{self.name}() missing a required argument: {name!r}")

    def dataclass(self) -> type:
        """Return a class that `dataclasses` has made of the same fields (rule 2)."""
        from dataclasses import MISSING, make_dataclass  # noqa: TID251 -- rule 1
        from dataclasses import field as made  # noqa: TID251

        if self._dataclass is None:
            rows: list[tuple[str, str, Any]] = []
            for name, each in self.fields.items():
                default, factory = (
                    MISSING if found is _MISSING else found for found in (each.default, each.factory)
                )
                known: Any = {"default": default, "default_factory": factory, "init": each.init}
                rows.append((name, each.kind, made(repr=each.repr, compare=each.compare, **known)))
            name = self.name.rpartition(".")[2]
            self._dataclass = make_dataclass(name, rows, frozen=self.frozen, kw_only=self.kw_only)
        return self._dataclass


def _own_fields(cls: type) -> dict[str, _Field]:
    """Return the fields that a class adds to those of its bases; their defaults become its attributes."""
    found: dict[str, _Field] = {}
    slots = vars(cls).get("__slots__", ())
    for name, kind in cls.__annotations__.items():
        if kind.startswith("ClassVar"):
            continue
        default = _MISSING if name in slots else vars(cls).get(name, _MISSING)
        found[name] = default if isinstance(default, _Field) else _Field(default=default)
        found[name].kind = kind
        if isinstance(default, _Field):
            if default.default is _MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, default.default)
    return found


class _OnDemand:
    """An attribute of dataclasses that is made when somebody asks for it (rule 2)."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, value: object, cls: type) -> Any:  # noqa: ANN401 -- whatever `dataclasses` has there
        if self.name != "__signature__":
            return getattr(cls.__shape__.dataclass(), self.name)  # type: ignore[attr-defined]
        if cls.__init__.__module__ != __name__:  # type: ignore[misc]
            raise AttributeError(self.name)
        from inspect import signature  # rule 1

        return signature(cls.__shape__.dataclass())  # type: ignore[attr-defined]


def _init(cls: type, shape: _Shape) -> dict[str, Any]:
    given, arranged = shape.given, shape.arranged
    usual = len(shape.by_position) if len(shape.by_position) == len(shape.fields) else -1
    known = frozenset(given) if len(given) == len(shape.fields) else None
    finish = getattr(cls, "__post_init__", None)

    def __init__(self: object, *values: object, **named: object) -> None:  # noqa: N807
        if named or len(values) != usual:
            complete = not values and named.keys() == known
            for name, value in (named if complete else arranged(values, named)).items():
                _set(self, name, value)
        else:
            for name, value in zip(given, values, strict=True):
                _set(self, name, value)
        if finish is not None:
            finish(self)

    return {"__init__": __init__}


def _values(names: tuple[str, ...]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else lambda _: ()


def _compared(shape: _Shape) -> dict[str, Any]:
    names = shape.shown("repr")
    compared = _values(shape.shown("compare"))

    @recursive_repr()
    def __repr__(self: object) -> str:  # noqa: N807
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        if other.__class__ is not self.__class__:
            return NotImplemented
        return bool(compared(self) == compared(other))

    def __hash__(self: object) -> int:  # noqa: N807
        return hash(compared(self))

    return {"__repr__": __repr__, "__eq__": __eq__, "__hash__": __hash__ if shape.frozen else None}


def _frozen(cls: type, shape: _Shape) -> dict[str, Any]:
    def refuse(self: object, name: str, what: str) -> None:
        if type(self) is cls or name in shape.fields:
            from dataclasses import FrozenInstanceError  # noqa: TID251 -- rule 1

            raise FrozenInstanceError(f"cannot {what} field {name!r}")

    def __setattr__(self: object, name: str, value: object) -> None:  # noqa: N807
        refuse(self, name, "assign to")
        _set(self, name, value)

    def __delattr__(self: object, name: str) -> None:  # noqa: N807
        refuse(self, name, "delete")
        object.__delattr__(self, name)

    return {"__setattr__": __setattr__, "__delattr__": __delattr__}


def _setstate(self: object, state: Any) -> None:  # noqa: ANN401 -- as `object.__getstate__` has made it
    """Take over a state that was pickled or copied: `__slots__` make it a pair."""
    for part in state if isinstance(state, tuple) else (state,):
        for name, value in (part or {}).items():
            _set(self, name, value)


def _replace(value: _T, /, **changes: object) -> _T:
    shape: _Shape = type(value).__shape__  # type: ignore[attr-defined]
    return type(value)(**{**{name: getattr(value, name) for name in shape.given}, **changes})


def _dataclass(cls: Any = None, /, *, frozen: bool = False, kw_only: bool = False) -> Any:  # noqa: ANN401
    """Make a class one of values."""
    if cls is None:
        return lambda found: _dataclass(found, frozen=frozen, kw_only=kw_only)
    shape = cls.__shape__ = _Shape(cls, frozen=frozen, kw_only=kw_only)
    own = vars(cls).copy()
    added = {
        "__match_args__": shape.by_position,
        "__replace__": _replace,
        **_init(cls, shape),
        **_compared(shape),
        **(_frozen(cls, shape) if frozen else {}),
        **({"__setstate__": _setstate} if "__slots__" in own else {}),
        **{name: _OnDemand(name) for name in _ASKED},
    }
    for name, what in added.items():
        if name not in own or (name == "__hash__" and own[name] is None):
            setattr(cls, name, what)
    return cls


if not TYPE_CHECKING:
    dataclass, field, replace = _dataclass, _Field, _replace
