"""The devserver's table of uploads, held against the real notary-server."""

from __future__ import annotations

import http.client
import uuid
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from support.rows import accepted, harmful, refused
from support.uploads import Answer, Desk, Row

if TYPE_CHECKING:
    from interop.harness import services

ROWS = (*accepted.ROWS, *refused.ROWS, *harmful.ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_real_server(row: Row, notary: services.Endpoint, authority: services.Authority) -> None:
    context = authority.client_context()

    def send(method: str, path: str, content_type: str, body: bytes) -> Answer:
        headers = {"Content-Type": content_type} if content_type else {}
        with closing(http.client.HTTPSConnection(notary.host, timeout=10, context=context)) as connection:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            return Answer(response.status, response.read())

    answer = row.play(Desk(send, f"localhost/{uuid.uuid4().hex}", datetime.now(UTC)))
    if not row.code or row.strict:
        assert answer.status == 200, answer
        return
    assert (answer.status, answer.error["code"]) == (400, row.code)
    if row.name:
        assert answer.error["detail"]["Name"] == row.name
        assert row.text in answer.error["detail"]["Error"]["Msg"]
