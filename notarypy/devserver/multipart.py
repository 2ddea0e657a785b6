"""Taking a multipart/form-data body apart, as strictly as a server needs.

What it is: boundaries, part headers and file names. What it is not: a reader of
transfer encodings or nested parts; nobody uploads metadata with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message


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
