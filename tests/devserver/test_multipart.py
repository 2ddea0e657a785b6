from __future__ import annotations

from pathlib import Path

import pytest

from notarypy.devserver.calls import FormPart, form_parts

HTTP = Path(__file__).parents[2] / "fixtures" / "go" / "http"
KIND = "multipart/form-data; boundary=b"
HEAD = b'--b\r\nContent-Disposition: form-data; name="files"; filename="targets/a"\r\n\r\n'


def posted(file: Path) -> tuple[str, bytes]:
    request = file.read_bytes().partition(b"\n=====RESP")[0]
    head, _, body = request.partition(b"\r\n\r\n")
    if not body:
        head, _, body = request.partition(b"\n\n")
    lines = head.decode().splitlines()
    [kind] = [line.partition(": ")[2] for line in lines if line.startswith("Content-Type")]
    return kind, body


@pytest.mark.parametrize("file", sorted(HTTP.glob("*.txt")), ids=lambda file: file.stem)
def test_what_go_clients_send(file: Path) -> None:
    parts = form_parts(*posted(file))
    expected = [
        line.split(b'filename="')[1].rstrip(b'"\r').decode()
        for line in file.read_bytes().split(b"\n")
        if b"filename=" in line
    ]
    assert [part.filename for part in parts] == expected
    assert all(part.data.startswith(b'{"signed"') and part.data.endswith(b"}") for part in parts)


def test_content_is_kept_byte_for_byte() -> None:
    data = b"\r\n\x00--b\n\r\nx\r\n"
    assert form_parts(KIND, HEAD + data + b"\r\n--b--\r\n") == [FormPart("targets/a", data)]


@pytest.mark.parametrize("body", [b"--b--", b"--b--\r\n", b"\r\n--b--\r\n"])
def test_no_parts(body: bytes) -> None:
    assert form_parts(KIND, body) == []


def test_boundary_in_quotes_and_another_multipart_type() -> None:
    assert len(form_parts('multipart/mixed; boundary="b"', HEAD + b"x\r\n--b--")) == 1


def test_part_without_a_file_name() -> None:
    assert form_parts(KIND, b"--b\r\nX: y\r\n\r\ndata\r\n--b--") == [FormPart("", b"data")]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("", b""),
        ("multipart/form-data", HEAD + b"x\r\n--b--"),
        (KIND, b""),
        (KIND, b"junk"),
        (KIND, HEAD + b"x"),
        (KIND, b"--b\r\nno end of the header\r\n--b--"),
        (KIND, b"--bother\r\n\r\nx\r\n--b--"),
    ],
)
def test_malformed(kind: str, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"multipart|boundary|header"):
        form_parts(kind, body)
