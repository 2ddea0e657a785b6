"""Make trees like those in `fixtures/go` anew, with the real Go clients and servers.

Run by `scripts/make-fixtures DIRECTORY`. Keys, signatures and dates differ each time; roles, versions and
file names are the same, which a test compares.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from interop.harness import gateway, services
from interop.harness.people import Person
from interop.harness.programs import openssl

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKER_GUN = "localhost:15000/hp/demo"


class Studio:
    """The servers, and a place to write to."""

    def __init__(self, output: Path, work: Path, authority: services.Authority) -> None:
        self.output, self.work, self.authority = output, work, authority
        self._materials = work / "materials"
        self._make_materials()

    def _make_materials(self) -> None:
        """Make an EC key and an RSA key, a certificate for each, and a file to sign."""
        self._materials.mkdir()
        (self._materials / "hello").write_text("hello\n")
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self._materials / "jeff.key")
        openssl("genrsa", "-out", self._materials / "bob.key", "2048")
        for name in ("jeff", "bob"):
            key, base = self._materials / f"{name}.key", self._materials / name
            openssl("pkey", "-in", key, "-pubout", "-out", f"{base}.pub")
            request = ("req", "-new", "-x509", "-days", "3650", "-subj", f"/CN={name}")
            openssl(*request, "-key", key, "-out", f"{base}.crt")

    def person(self, name: str, server: services.Endpoint) -> Person:
        """Return somebody new, who has the materials at home."""
        person = Person(self.work / name, server)
        shutil.copytree(self._materials, person.home, dirs_exist_ok=True)
        return person

    def keep(self, name: str, person: Person, gun: str, *, client: bool = False) -> None:
        """Save what the server has for a repository, and the trust directory if asked for."""
        for path, body in self._served(person.server, gun):
            target = self.output / name / "server" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(body)
        if client:
            shutil.copytree(person.trust_dir, self.output / name / "client", dirs_exist_ok=True)

    def _served(self, server: services.Endpoint, gun: str) -> Iterator[tuple[str, bytes]]:
        snapshot = self._get(server, gun, "snapshot.json")
        assert snapshot is not None
        roles = ["root", "targets", "snapshot", "timestamp", *json.loads(snapshot)["signed"]["meta"]]
        versions = (f"{number}.root" for number in range(1, 100))
        for role in (*dict.fromkeys(roles), *versions):
            body = self._get(server, gun, f"{role}.json")
            if body is None:
                return
            yield f"{role}.json", body

    def _get(self, server: services.Endpoint, gun: str, name: str) -> bytes | None:
        connection = http.client.HTTPSConnection(server.host, context=self.authority.client_context())
        with contextlib.closing(connection):
            connection.request("GET", f"/v2/{gun}/_trust/tuf/{name}")
            response = connection.getresponse()
            body = response.read()
            return body if response.status == 200 else None


def notary(person: Person, *commands: str) -> None:
    """Run Go notary commands, one a line; {home} is the person's folder."""
    for command in commands:
        words = [word.format(home=person.home) for word in command.split()]
        person.notary(*words, text="yes\n").expect(0)


def delegations(studio: Studio, server: services.Endpoint) -> None:
    """Delegations to EC and RSA keys and certificates, with and without paths; names that need escaping."""
    gun, person = "localhost/app/two", studio.person("delegations", server)
    notary(
        person,
        f"init {gun} -p",
        f"addhash {gun} h1 10 --sha256 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 -p",
        f"delegation add {gun} targets/releases {{home}}/jeff.crt --paths a/,b -p",
        f"delegation add {gun} targets/rsa {{home}}/bob.crt {{home}}/bob.pub --all-paths -p",
        "key import {home}/jeff.key -r dee",
        "key import {home}/bob.key -r targets/releases",
        f"add {gun} a/x {{home}}/hello -r targets/releases -p",
        f"add {gun} sub/é<1> {{home}}/hello -r targets/rsa -p",
        f"witness {gun} targets/releases -p",
        f"list {gun}",
    )
    studio.keep("notary-ecdsa-rsa", person, gun, client=True)


def init_only(studio: Studio, server: services.Endpoint) -> None:
    """Leave a trust directory as it is right after init and the first publish."""
    person = studio.person("init-only", server)
    notary(person, "init localhost/app/one", "publish localhost/app/one")
    shutil.copytree(person.trust_dir, studio.output / "notary-init-only")


def rotations(studio: Studio, server: services.Endpoint) -> None:
    """Seven versions of a root: every role's key changes once, the root key twice."""
    gun, person = "localhost/app/rot", studio.person("rotations", server)
    notary(
        person,
        f"init {gun} -p",
        f"add {gun} v1 {{home}}/hello -p",
        f"key rotate {gun} targets",
        f"key rotate {gun} snapshot -r",
        f"key rotate {gun} timestamp -r",
        f"key rotate {gun} snapshot",
        f"key rotate {gun} root",
        f"key rotate {gun} root --legacy 2",
        f"add {gun} v2 {{home}}/hello -p",
        f"list {gun}",
    )
    studio.keep("notary-root-rotations", person, gun, client=True)


def changes(studio: Studio, server: services.Endpoint) -> None:
    """Stage one change of each kind and publish none."""
    gun, person = "localhost/app/changes", studio.person("changes", server)
    role = f"{gun} targets/all"
    notary(
        person,
        f"init {gun}",
        f"add {gun} v1 {{home}}/hello",
        f"delegation add {gun} targets/releases {{home}}/jeff.crt --paths a/,b",
        f"delegation add {role} {{home}}/bob.pub --all-paths",
        f"add {gun} a/x {{home}}/hello -r targets/releases",
        f"delegation remove {role} --paths zz",
        f"delegation remove {role} {'0a' * 32} -y",
        f"delegation purge {gun} --key {'0a' * 32}",
        f"witness {gun} targets/releases targets",
        f"remove {gun} v1",
        f"addhash {gun} h1 10 --sha256 {'0b' * 32}",
        f"delegation remove {role} --all-paths",
        f"delegation remove {role} -y",
    )
    shutil.copytree(person.trust_dir / "tuf" / gun / "changelist", studio.output / "changelist")


def docker_signers(studio: Studio, server: services.Endpoint) -> None:
    """Let docker make two signers, and two more who left files behind when they were removed."""
    gun, person = DOCKER_GUN, studio.person("docker-signers", server)
    (person.home / "carol.pub").write_bytes((person.home / "jeff.pub").read_bytes())
    (person.home / "bobcrt.pub").write_bytes((person.home / "bob.crt").read_bytes())
    for name in ("jeff", "bob", "bobcrt", "carol"):
        person.docker("trust", "signer", "add", "--key", person.home / f"{name}.pub", name, gun).expect(0)
    every = "-r targets/releases -r targets/jeff -r targets/bob"
    notary(
        person,
        "key import {home}/jeff.key -r jeff",
        "key import {home}/bob.key -r bob",
        f"addhash {gun} 1 523 --sha256 {'01' * 32} {every} -r targets/bobcrt -r targets/carol -p",
        f"addhash {gun} 2 524 --sha256 {'02' * 32} {every} -p",
        f"delegation remove {gun} targets/carol -y -p",
        f"delegation remove {gun} targets/bobcrt -y -p",
    )
    studio.keep("docker-ecdsa-rsa", person, gun)
    folder = studio.output / "docker-ecdsa-rsa"
    (folder / "inspect.json").write_text(person.inspection(gun))
    shutil.copytree(person.trust_dir / "private", folder / "client" / "private")
    for name in ("jeff.pub", "bob.pub"):
        shutil.copy(person.home / name, folder)


def without_delegations(studio: Studio, server: services.Endpoint) -> None:
    """Tags in targets alone, with a snapshot of the server: as docker push makes of a new repository."""
    gun, person = "localhost:15000/hp/adm", studio.person("without-delegations", server)
    person.docker("trust", "signer", "add", "--key", person.home / "jeff.pub", "jeff", gun).expect(0)
    notary(
        person,
        f"delegation remove {gun} targets/jeff -y",
        f"delegation remove {gun} targets/releases -y",
        f"addhash {gun} 1 523 --sha256 {'01' * 32} -p",
        f"addhash {gun} 2 524 --sha256 {'02' * 32} -p",
    )
    studio.keep("docker-repo-admin", person, gun)


def releases_without_keys(studio: Studio, server: services.Endpoint) -> None:
    """Take the last key out of targets/releases: the role stays, with `keyids: null`."""
    gun, person = "localhost:15000/hp/edge", studio.person("without-keys", server)
    person.docker("trust", "signer", "add", "--key", person.home / "jeff.pub", "jeff", gun).expect(0)
    (document,) = json.loads(person.inspection(gun))
    keyid = document["Signers"][0]["Keys"][0]["ID"]
    notary(
        person,
        "key import {home}/jeff.key -r jeff",
        f"addhash {gun} 1 523 --sha256 {'01' * 32} -r targets/releases -r targets/jeff -p",
        f"delegation remove {gun} targets/releases {keyid} -y",
        f"delegation remove {gun} targets/jeff -y",
        f"publish {gun}",
    )
    studio.keep("edge-releases-without-keys", person, gun)


def signer_backed(studio: Studio, server: services.Endpoint) -> None:
    """Server keys that notary-signer holds: ECDSA, not Ed25519."""
    gun, person = "localhost/app/signer", studio.person("signer-backed", server)
    notary(person, f"init {gun}", f"add {gun} v {{home}}/hello -p", f"key rotate {gun} snapshot -r")
    studio.keep("notary-signer-backed", person, gun)


def uploads(studio: Studio, server: services.Endpoint) -> None:
    """Record how docker and Go notary upload: a first publish, a signed tag, and nothing at all."""
    gun = "localhost:15000/hp/http"
    with gateway.gateway_to(server, studio.authority) as front:
        person = studio.person("uploads", front.endpoint)
        person.docker("trust", "signer", "add", "--key", person.home / "jeff.pub", "jeff", gun).expect(0)
        notary(
            person,
            "key import {home}/jeff.key -r jeff",
            f"addhash {gun} 1 523 --sha256 {'01' * 32} -r targets/releases -r targets/jeff -p",
            f"publish {gun}",
        )
        posts = [seen for seen in front.seen if seen.method == "POST"]
    folder = studio.output / "http"
    folder.mkdir()
    for number, seen in enumerate(posts, 1):
        head = "".join(f"{name}: {value}\r\n" for name, value in seen.headers.items())
        request = f"POST {seen.path} HTTP/1.1\r\n{head}\r\n".encode() + seen.body
        (folder / f"{number}_POST.txt").write_bytes(request + f"\n=====RESP\n{seen.status}\n".encode())


def make(output: Path) -> None:
    """Make every tree under an empty directory."""
    output.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        work = Path(name)
        authority = services.Authority(work / "ca")
        studio = Studio(output, work, authority)
        own = stack.enter_context(services.notary_server(work / "own", authority))
        trust_service = stack.enter_context(services.notary_signer(work / "signer", authority))
        backed = stack.enter_context(
            services.notary_server(work / "backed", authority, trust_service=trust_service)
        )
        for step in (delegations, init_only, rotations, changes, docker_signers, without_delegations):
            step(studio, own)
        releases_without_keys(studio, own)
        uploads(studio, own)
        signer_backed(studio, backed)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
