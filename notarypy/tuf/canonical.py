r"""The exact bytes that are signed, the exact bytes that are uploaded, and strict decoding.

What it is: the only place where JSON text and values meet. What it is not: a validator of metadata
structure; that is `metadata`.

Rules:

1. Canonical form: no white space, members sorted by code point, only `"` and `\\` escaped, everything else
   raw UTF-8, integers in decimal.
2. Storage form: the canonical form with `<`, `>`, `&`, U+2028 and U+2029 escaped, then the signatures. A
   Notary server that makes the snapshot hashes its own rewriting of a file, so any other layout ends in a
   repository that nobody can read.
3. Received text is decoded strictly: UTF-8, one object, no duplicate members, no byte order mark, no number
   that is not an exact integer, no lone surrogate, at most 64 levels. Beyond +-2**53 that is an integer of 64
   bits that a double has: Go signs any other as another number. Whoever wants a version, length or threshold
   refuses it. Go takes some of these; two readers that disagree about a document are an attack.
4. A text has at most `json_parts` (`limits`) brackets and commas, for a value costs far more memory than its
   text. That is enough for 200 000 tags. A text above 32 MiB is ASCII, for one character outside may make
   Python keep four bytes for each of a string.
5. `5.0` and `1e2` are numbers, and signed as `5` and `100`, for Go signs them so; beyond 2**53 they are none.
   As a version, length or threshold Go reads neither: they are `WrittenAsFloat`, which whoever wants an
   integer refuses (`fields.is_integer`). Custom data may have them.
6. For a file in storage form without escapes the quick decoder is taken, and what it returned is encoded:
   it counts only if that is the text itself. A text that is its own canonical form has no duplicate member,
   no number written otherwise than as an integer, no lone surrogate. All else is decoded by rule 3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn, cast

from canonicaljson import encode_canonical_json

from notarypy import jsontext
from notarypy.errors import MetadataError, MetadataLimitError
from notarypy.limits import DEFAULT, Limits

JsonObject = dict[str, Any]

MAX_INTEGER = 2**53
_MAX_DIGITS = 20
_TOO_FAR = 2**63
# What the values of a text take beside their characters, for each bracket and comma; measured.
_PART_BYTES = 80

_CONTROL = re.compile(rb"[\x00-\x1f]")
_WIDE_ESCAPE = re.compile(rb"\\u(?!00[0-7])")
_STORAGE_ESCAPES = [(one.encode(), b"\\u%04x" % ord(one)) for one in "<>&\u2028\u2029"]
_RAW = {escaped: raw for raw, escaped in _STORAGE_ESCAPES}
_STORED = re.compile(rb"\\\\|" + b"|".join(map(re.escape, _RAW)))
_SIGNED = b'{"signed":'
_SIGNATURES = b',"signatures":'
_DIGITS_ARE_ZEROS = bytes(ord("0") if chr(byte).isdecimal() else byte for byte in range(128)) + bytes(128)
_LONG_NUMBER = b"0" * len(str(MAX_INTEGER))
_PIECE = 1 << 16  # what is looked at in one go, without a copy of the whole


class WrittenAsFloat(int):
    """A number that a text has as `5.0` or `1e2`: its value, and no integer where one is wanted (rule 5)."""


class _InexactNumberError(ValueError):
    """A number that is JSON, and not one that all programs read alike (rule 3)."""


def encode(value: object) -> bytes:
    """Return the canonical form, the bytes that are signed (rule 1); MetadataError if a value has none."""
    _refuse_floats(value)
    try:
        text = bytes(encode_canonical_json(value))
    except (TypeError, ValueError) as error:
        raise MetadataError("metadata has no canonical form", why=str(error)) from None
    if b"\\" not in jsontext.without_escapes(text):
        return text
    # An escape of something else: canonicaljson escapes control characters, Notary signs them raw.
    from securesystemslib.formats import encode_canonical  # costs 1 ms, and nobody writes such names

    raw: Any = encode_canonical(cast("Any", value))
    return bytes(raw.encode("utf-8"))


def is_kept_by_go(form: bytes) -> bool:
    """Tell whether Go signs a value again as this canonical form: custom data it signs as it is stored."""
    return not _CONTROL.search(form) and not any(raw in form for raw, _ in _STORAGE_ESCAPES)


def not_json(data: bytes) -> tuple[str, ...]:
    """Say what is wrong with a text that is no JSON, and where; nothing of one that only cannot be signed."""
    try:
        json.loads(data)
    except json.JSONDecodeError as error:
        return "it is not JSON", f"{error.msg} at line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):
        return ()
    return ()


def storage_form(signed: bytes, signatures: Sequence[JsonObject]) -> bytes:
    """Join a canonical `signed` part and its signatures to the uploaded file (rule 2)."""
    if _CONTROL.search(signed):  # Go can neither write nor rewrite such a file
        raise MetadataError("metadata with control characters cannot be published")
    for raw, escaped in _STORAGE_ESCAPES:
        signed = signed.replace(raw, escaped)
    listed = b",".join(
        json.dumps({name: entry[name] for name in ("keyid", "method", "sig")}, separators=(",", ":")).encode()
        for entry in signatures
    )
    return b'{"signed":' + signed + b',"signatures":[' + listed + b"]}"


def decode(data: bytes, what: str = "metadata", limits: Limits = DEFAULT) -> JsonObject:
    """Decode received JSON strictly (rule 3); raise MetadataError if it is not one well-formed object."""
    _check_size(data, what, limits)
    return _decoded(data, what)


def decode_file(
    data: bytes, what: str = "metadata", limits: Limits = DEFAULT
) -> tuple[JsonObject, bytes | None]:
    """Decode a signed file strictly, as `decode` does; also return the canonical form of its signed part.

    That is None if the text is in no form that is decoded quickly (rule 6).
    """
    _check_size(data, what, limits)
    signed, form = _as_stored(data)
    if form is not None:
        with suppress(MetadataError):  # which says where in the whole text something is wrong
            return {
                **_decoded(_SIGNED + b"{}" + data[len(_SIGNED) + len(form) :], what),
                "signed": signed,
            }, form
    return _decoded(data, what), None


def _as_stored(data: bytes) -> tuple[object, bytes | None]:
    """Return the signed part of a file and its canonical form, if the file has it byte for byte (rule 6)."""
    if not data.startswith(_SIGNED) or b"\\" in data or _LONG_NUMBER in data.translate(_DIGITS_ARE_ZEROS):
        return None, None
    try:
        signed, _ = _QUICK.raw_decode(data.decode("utf-8"), len(_SIGNED))
        end = _end_of(_ENCODER.encode(signed), data, len(_SIGNED))
    except (ValueError, RecursionError):
        return None, None
    stored = end is not None and data.startswith(_SIGNATURES, end)
    return (signed, data[len(_SIGNED) : end]) if stored else (None, None)


def _end_of(text: str, data: bytes, start: int) -> int | None:
    """Return where a text ends that is in a file from `start` on; None if another one is there."""
    for at in range(0, len(text), _PIECE):
        piece = text[at : at + _PIECE].encode()
        if not data.startswith(piece, start):
            return None
        start += len(piece)
    return start


def _decoded(data: bytes, what: str) -> JsonObject:
    """Decode a text whose size was checked."""
    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_unique_members,
            parse_int=_integer,
            parse_float=_integral_float,
            parse_constant=_no_constant,
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate has no UTF-8
    except _InexactNumberError as error:
        why = (str(error), "programs read such a number differently; a string is the same for all")
        raise MetadataError(f"{what} has a number that cannot be used", why=why, file=what) from None
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{what} is not valid JSON", why=_reason(error), file=what) from None
    if not isinstance(value, dict):
        raise MetadataError(f"{what} is not a JSON object", file=what)
    return value


def within(data: bytes, limits: Limits) -> bool:
    """Tell whether a text may be decoded under these limits."""
    try:
        _check_size(data, "", limits)
    except MetadataLimitError:
        return False
    return True


def signed_text(data: bytes) -> tuple[bytes, bytes] | None:
    """Split a file in storage form, undecoded, into canonical form and the rest; None for another layout."""
    head, mark, rest = data.rpartition(_SIGNATURES)
    if not mark or not head.startswith(_SIGNED):
        return None
    return _STORED.sub(_raw, head[len(_SIGNED) :]), mark + rest


def _raw(match: re.Match[bytes]) -> bytes:
    """Undo one escape of the storage form; an escaped backslash stays, whatever follows it."""
    return _RAW.get(match[0], match[0])


def memory(data: bytes) -> int:
    """Return about how many bytes a text and its values take in memory."""
    width = 1 if _narrow(data) else 4
    return len(data) * (1 + width) + jsontext.parts(data) * _PART_BYTES


def _narrow(data: bytes) -> bool:
    return data.isascii() and _WIDE_ESCAPE.search(data) is None


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise MetadataError("metadata has no canonical form", why=f"{value!r} is not an integer")
    if isinstance(value, dict | list | tuple):
        for member in value.values() if isinstance(value, dict) else value:
            if type(member) not in {str, int}:  # most are, and a call costs more than this
                _refuse_floats(member)


def _check_size(data: bytes, what: str, limits: Limits) -> None:
    """Bound parts and nesting before the recursive decoder sees the text (rules 3 and 4)."""
    if (count := jsontext.parts(data)) > limits.json_parts:
        raise too_many(what, "brackets and commas", count, limits.json_parts)
    if len(data) > limits.json_wide_bytes and not _narrow(data):
        raise too_many(what, "bytes, and not all of it is ASCII", len(data), limits.json_wide_bytes)
    if jsontext.is_deeper(data, limits.json_levels):
        why = f"nested deeper than {limits.json_levels} levels"
        raise MetadataLimitError(f"{what} is nested too deeply", why=why, file=what)


def too_many(what: str, counted: str, count: int, most: int, **facts: object) -> MetadataLimitError:
    """Return the error for a file that has more of something than a limit allows."""
    why = f"it has {count} {counted}; the limit is {most}"
    return MetadataLimitError(f"{what} is beyond a limit of readers", why=why, file=what, **facts)


def _unique_members(pairs: list[tuple[str, object]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same member twice")
    return members


def _integer(digits: str) -> int:
    value = int(digits) if len(digits) <= _MAX_DIGITS else _TOO_FAR
    if abs(value) > MAX_INTEGER and not (-_TOO_FAR <= value < _TOO_FAR and float(value) == value):
        raise _InexactNumberError("a number is beyond 2**53, and some programs read another one")
    return value


def _integral_float(digits: str) -> WrittenAsFloat:
    from decimal import Decimal  # costs 1 ms, and Notary writes no such numbers

    if len(digits) > _MAX_DIGITS:
        raise _InexactNumberError("a number is not an exact integer up to 2**53")
    try:
        value = float(digits)
        exact = value.is_integer() and abs(value) <= MAX_INTEGER and Decimal(digits) == int(value)
    except ArithmeticError:
        exact = False
    if not exact:
        raise _InexactNumberError("a number is not an exact integer up to 2**53")
    return WrittenAsFloat(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# As canonicaljson's, but for a copy of the text: it may have megabytes.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
_QUICK = json.JSONDecoder(parse_float=_no_constant, parse_constant=_no_constant)


def _reason(error: Exception) -> str:
    """Say what is wrong without quoting the document, which may be hostile or huge."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return "a string holds half a surrogate pair"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return str(error)
