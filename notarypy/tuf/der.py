"""DER without a schema: the elements of a sequence, each as its bytes, and elements of bytes.

What it is: what tells structures apart. What it is not: values, or a check of their encoding: who wants those
has a schema (`cryptography.hazmat.asn1`), or writes anew what was read, and compares.
"""

from __future__ import annotations

SEQUENCE, INTEGER, BITS, OCTETS, OID = 0x30, 0x02, 0x03, 0x04, 0x06
_LONG = 0x80


def elements(der: bytes) -> list[bytes]:
    """Return the elements of a sequence, tags and lengths included; raise ValueError for anything else."""
    start, end = _body(der, 0)
    if der[0] != SEQUENCE or end != len(der):
        raise ValueError("no sequence")
    found = []
    while start < end:
        _, stop = _body(der, start)
        found.append(der[start:stop])
        start = stop
    return found


def content(element: bytes) -> bytes:
    """Return the content of the one element that bytes are; raise ValueError for anything else."""
    begin, end = _body(element, 0)
    if end != len(element):
        raise ValueError("more than one element")
    return element[begin:end]


def element(tag: int, content: bytes) -> bytes:
    """Write an element, with the shortest length that there is."""
    size = len(content)
    if size < _LONG:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG + len(length))) + length + content


def _body(der: bytes, start: int) -> tuple[int, int]:
    """Return where the content of the element at `start` begins and ends."""
    if len(der) < start + 2:
        raise ValueError("cut off")
    size, begin = der[start + 1], start + 2
    if size >= _LONG:
        count = size - _LONG
        if not count:
            raise ValueError("no length")
        size, begin = int.from_bytes(der[begin : begin + count], "big"), begin + count
    if begin + size > len(der):
        raise ValueError("cut off")
    return begin, begin + size
