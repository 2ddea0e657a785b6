"""Uploads to a Notary server and what must come back, runnable against any server.

What it is: the table of good and bad updates as data, used to hold the devserver
against the real notary-server. What it is not: a client.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from notarypy.tuf import roles
from notarypy.tuf.keys import PublicKey
from support.author import Author

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

BOUNDARY = "a-boundary-that-no-metadata-contains"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


def multipart(files: Mapping[str, bytes] | list[tuple[str, bytes]]) -> bytes:
    """Return the body of an update, in the order given; none at all is the empty update."""
    listed = files if isinstance(files, list) else list(files.items())
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in listed
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The only entry of the error document."""
        [entry] = json.loads(self.body)["errors"]
        assert isinstance(entry, dict)
        return entry


class Desk:
    """One fresh repository on one server.

    Args:
        send: Sends (method, path, content type, body) to the server.
        gun: A GUN that the server has never seen.
        now: The server's idea of the time.
    """

    def __init__(self, send: Callable[[str, str, str, bytes], Answer], gun: str, now: datetime) -> None:
        """Prepare an author whose timestamp and snapshot keys are the server's."""
        self._send = send
        self.gun = gun
        self.now = now
        self.author = Author(gun, now)
        for role in (roles.TIMESTAMP, roles.SNAPSHOT):
            self.author.use_server_key(role, self.key(role))

    def use(self, send: Callable[[str, str, str, bytes], Answer]) -> None:
        """Go on with another connection, or another server that has the same repository."""
        self._send = send

    def send(self, method: str, rest: str, content_type: str = "", body: bytes = b"") -> Answer:
        """Send a request below this repository's `_trust/` path."""
        return self._send(method, f"/v2/{self.gun}/_trust/{rest}", content_type, body)

    def key(self, role: str, method: str = "GET") -> PublicKey:
        """Get the server's key for a role, or with POST a new one."""
        return PublicKey.from_json(json.loads(self.send(method, f"tuf/{role}.key").body))

    def get(self, name: str) -> bytes:
        """Get a file, which must be there."""
        answer = self.send("GET", f"tuf/{name}.json")
        assert answer.status == 200, answer
        return answer.body

    def post(self, files: Mapping[str, bytes] | list[tuple[str, bytes]]) -> Answer:
        """Upload files by role."""
        return self.send("POST", "tuf/", MULTIPART, multipart(files))

    def publish(self) -> Desk:
        """Publish version 1 of root and targets, which must succeed."""
        answer = self.post(self.author.files())
        assert answer.status == 200, answer
        return self

    def own_snapshot(self) -> Desk:
        """Take the snapshot key away from the server, before the first publish."""
        self.author.assign(roles.SNAPSHOT, [self.author.key("own snapshot")])
        return self

    def post_with_snapshot(self, *listed: str) -> Answer:
        """Upload these roles and a snapshot of the whole repository."""
        files = self.author.files()
        posted = {role: files[role] for role in listed or files}
        return self.post({**posted, roles.SNAPSHOT: self.author.snapshot(files)})


@dataclass(frozen=True)
class Row:
    """One kind of update.

    Attributes:
        play: Does what is needed and returns the answer to the interesting upload.
        code: The error code, empty for success.
        name: The kind of validation error, where there is one.
        text: What its text contains.
        strict: Whether only the devserver's strict mode refuses it.
    """

    play: Callable[[Desk], Answer]
    code: str = ""
    name: str = ""
    text: str = ""
    strict: bool = False

    @property
    def title(self) -> str:
        """The name to show."""
        return self.play.__name__.replace("_", " ")


BAD_TARGETS, BAD_ROOT, BAD_SNAPSHOT = "ErrBadTargets", "ErrBadRoot", "ErrBadSnapshot"
VALIDATION = "ErrValidation"
UPDATE = "INVALID_UPDATE"
