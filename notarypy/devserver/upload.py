"""Uploaded files: the first look at them, and the form in which Go would write them again.

What it is: what a server does to a file before and after checking it. What it is
not: the checks (`update`).

Rules:

1. At first a file need only be JSON whose `signed` part has a version and a date of
   the right types; everything else is judged later. To Go null is of every type.
2. A Go server and Go clients hash their own re-writing of root, targets and snapshot.
   `rewritten` is that re-writing; a file that differs from it is not in storage form.
3. Go reads targets that `metadata` refuses: any version from 1 on, any length, hashes
   of any size.

Taking a multipart/form-data body apart, as strictly as a server needs.

What it is: boundaries, part headers and file names. What it is not: a reader of
transfer encodings or nested parts; nobody uploads metadata with them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from email.message import Message
from typing import TYPE_CHECKING

from notarypy.devserver.calls import Refused
from notarypy.errors import MetadataError
from notarypy.tuf import envelope, roles
from notarypy.tuf.fields import mapping
from notarypy.tuf.keys import decode_base64
from notarypy.tuf.metadata import MAX_VERSION, Root, Snapshot, TargetFile, Targets, parse_time

if TYPE_CHECKING:
    from notarypy.tuf.canonical import JsonObject

_INT64 = 2**63
_OFFSET = len("+00:00")
_UTC = {"+00:00": "Z", "-00:00": "Z"}


@dataclass(frozen=True)
class Upload:
    """One posted file, not checked yet."""

    role: str
    version: int
    data: bytes


def read_part(part: Part) -> Upload:
    """Take a part of an update for a file of a role (rule 1)."""
    role = part.filename.removesuffix(".json")
    if not role:
        raise Refused(400, "NO_FILENAME", "No file/role name provided.")
    if role not in roles.BASE_ROLES and not roles.is_delegation(role):
        raise Refused(400, "INVALID_ROLE", "The role you are attempting to operate on is invalid.", role)
    try:
        return Upload(role, _version(part.data), part.data)
    except (ValueError, RecursionError, MetadataError):
        text = "JSON sent by the client could not be parsed by the server"
        raise Refused(400, "MALFORMED_JSON", text) from None


def _version(data: bytes) -> int:
    value, _ = json.JSONDecoder().raw_decode(data.decode().lstrip())
    signed = mapping(mapping(value, "the file").get("signed"), "its signed part")
    version, expires = signed.get("version"), signed.get("expires")
    if expires is not None:
        parse_time(expires, "")
    if version is None:
        return 0
    if type(version) is not int or not -_INT64 <= version < _INT64:
        raise MetadataError("the version is no number that Go can hold")
    return version


def targets(signed: JsonObject, role: str) -> Targets:
    """Read the signed part of a targets file as Go does (rule 3); raise MetadataError."""
    version = signed.get("version")
    beyond = version if isinstance(version, int) and version > MAX_VERSION else None
    value = Targets.from_signed(
        {**signed, "targets": {}, "version": MAX_VERSION if beyond else version}, role
    )
    listed = mapping(signed.get("targets"), f"targets of {role}")
    entries = {name: _entry(entry, f"a target of {role}") for name, entry in listed.items()}
    return replace(value, version=beyond or value.version, targets=entries)


def _entry(value: object, what: str) -> TargetFile:
    entry = mapping(value, what)
    length = entry.get("length", 0)
    if type(length) is not int:
        raise MetadataError(f"{what} has no usable length")
    hashes = mapping(entry.get("hashes"), f"hashes of {what}")
    decoded = {name: decode_base64(text, f"a hash of {what}") for name, text in hashes.items()}
    return TargetFile(length, decoded, entry.get("custom"))


def rewritten(file: envelope.Envelope, role: str) -> bytes:
    """Return the bytes that a Go program makes of a file it has read (rule 2); MetadataError if it cannot."""
    signed = _model(file.signed, role)
    signed["expires"] = _date(file.signed["expires"])
    if role == roles.ROOT:
        signed["consistent_snapshot"] = file.signed.get("consistent_snapshot", False)
    elif "delegations" in signed and (file.signed.get("delegations") or {}).get("roles") is None:
        signed["delegations"]["roles"] = None
    return envelope.seal(signed, file.signatures)


def _model(signed: JsonObject, role: str) -> JsonObject:
    if role == roles.ROOT:
        return Root.from_signed(signed).to_signed()
    if role == roles.SNAPSHOT:
        return Snapshot.from_signed(signed).to_signed()
    return targets(signed, role).to_signed()


def _date(text: str) -> str:
    """Write a date that was read before as Go does: no zeros at the end of the fraction, `Z` for UTC."""
    zone = "Z" if text.endswith("Z") else text[-_OFFSET:]
    moment = text.removesuffix(zone)
    if "." in moment:
        moment = moment.rstrip("0").rstrip(".")
    return moment + _UTC.get(zone, zone)


@dataclass(frozen=True)
class Part:
    """One part; `filename` is empty when its header gives none."""

    filename: str
    data: bytes


def split(content_type: str, body: bytes) -> list[Part]:
    """Return the parts of a body; raise ValueError unless it is well-formed multipart."""
    kind = Message()
    kind["Content-Type"] = content_type
    boundary = kind.get_boundary()
    if kind.get_content_maintype() != "multipart" or not boundary:
        raise ValueError("the body is not multipart")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if len(pieces) == 1 or not pieces[-1].startswith(b"--"):
        raise ValueError("the body has no closing boundary")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, separator, data = piece.partition(b"\r\n\r\n")
    if not separator or head.strip(b" \t")[:2] not in (b"", b"\r\n"):
        raise ValueError("a part has no header, or its boundary line goes on")
    headers = Message()
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip()] = value.strip()
    filename = headers.get_param("filename", "", "content-disposition")
    return Part(filename if isinstance(filename, str) else "", data)
