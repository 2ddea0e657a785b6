"""What users do all day, made ready to be measured: `tests/budgets.toml` has a bound for each.

A workload is a function that takes the laboratory, makes everything ready, and returns the one command to be
measured. It is called anew for each measurement, so the command may change what is published.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interop.harness import images, localservice, people, programs, rounds, services, softhsm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# A usual store of CAs has about as many.
STORE_SIZE = 140


@dataclass(frozen=True)
class Command:
    """A command line that is ready to be run by somebody; without a `script` it is of `notarypy`."""

    person: people.Person
    arguments: tuple[str, ...]
    script: Path | None = None


class Laboratory:
    """Servers behind gateways that count, an owner of repositories, and others who know nothing yet."""

    def __init__(self, directory: Path, conductor: rounds.Rounds, authority: services.Authority) -> None:
        self.conductor = conductor
        self._directory, self._authority = directory, authority
        self._names = itertools.count(100)
        self._signed: dict[tuple[int, int], list[str]] = {}
        self._large = ""
        self._service = ""
        self.stack = contextlib.ExitStack()
        self._store = self._system_store(authority)

    def open(self, notary: services.Endpoint, registry: services.Endpoint) -> None:
        """Begin to use these servers."""
        self.registry = registry
        self.notary = self.conductor.front("notary", notary)
        self._registry_front = self.conductor.front("registry", registry)
        self.owner = self.person()
        key, self._certificate = self.owner.new_key("jeff")
        self.owner.notarypy("key", "load", key, "--name", "jeff").expect(0)

    def _system_store(self, authority: services.Authority) -> dict[str, str]:
        """Lay out a store of CAs as Debian does, with hashes and a bundle that OpenSSL knows by a link."""
        folder = self._directory / "certs"
        folder.mkdir(parents=True)
        subject = programs.openssl("x509", "-noout", "-hash", "-in", authority.file).stdout.strip()
        for name in (subject, *(f"{number:08x}" for number in range(1, STORE_SIZE))):
            (folder / f"{name}.0").symlink_to(authority.file)
        bundle = folder / "ca-certificates.crt"
        bundle.write_text(authority.file.read_text() * STORE_SIZE)
        link = self._directory / "cert.pem"
        link.symlink_to(bundle)
        return {"SSL_CERT_DIR": str(folder), "SSL_CERT_FILE": str(link)}

    def person(self) -> people.Person:
        """Return somebody who has nothing; names are of one length, as they are part of what is measured."""
        made = people.Person(self._directory / f"home{next(self._names)}", self.notary)
        made.environment.update(self._store, PYTHONHASHSEED="0")
        made.trust("certs.d", self._registry_front)  # else http is tried first, on this machine
        return made

    def repository(self) -> str:
        """Return the name of a new repository."""
        return f"{self._registry_front.host}/app/r{next(self._names)}"

    def _upstream(self, name: str) -> images.Repository:
        tls = None if self.registry.ca is None else self._authority.client_context()
        return images.Repository(self.registry, name.partition("/")[2], tls)

    def initialised(self, count: int = 1) -> list[str]:
        """Return new repositories with trust data and a signer, whose keys the owner has."""
        names = [self.repository() for _ in range(count)]
        self.owner.notarypy("init", *names, "--signer", "jeff", "--key", self._certificate).expect(0)
        return names

    def pushed(self, names: list[str], tags: int = 1) -> list[str]:
        """Push one image under tags of each repository; return the references."""
        refs = []
        for name in names:
            repository = self._upstream(name)
            manifest = repository.push("t1000")
            numbers = range(1000, 1000 + tags)
            for number in numbers[1:]:
                repository.tag(manifest, f"t{number}")
            refs += [f"{name}:t{number}" for number in numbers]
        return refs

    def signed(self, *, repositories: int = 1, tags: int = 1) -> list[str]:
        """Return references to signed tags, the same each time; the owner has their trust data."""
        known = self._signed.get((repositories, tags))
        if known is None:
            known = self.pushed(self.initialised(repositories), tags)
            self.owner.notarypy("sign", *known).expect(0)
            self._signed[repositories, tags] = known
        return known

    def signed_anew(self) -> str:
        """Return a reference to a signed tag of a new repository."""
        (ref,) = self.pushed(self.initialised())
        self.owner.notarypy("sign", ref).expect(0)
        return ref

    def by_owner(self, *arguments: str) -> Command:
        """Return a command of the owner, whose cache is warm."""
        return Command(self.owner, arguments)

    def by_stranger(self, *arguments: str) -> Command:
        """Return a command of somebody whose cache is cold."""
        return Command(self.person(), arguments)

    def by_notary(self, *arguments: str, name: str, listed: str) -> Command:
        """Return a command of the program `notary`, started as an installed one; the cache is warm."""
        script = self._directory / "bin" / "notary"
        script.parent.mkdir(exist_ok=True)
        script.write_text("import sys\nfrom notarypy.cli.gonotary.entry import main\nsys.exit(main())\n")
        somebody = self.person()
        head = ("-s", self.notary.url, "-d", str(somebody.trust_dir), "--tlscacert", str(self.notary.ca))
        somebody.notarypy("notary", *head, "lookup", name, listed).expect(0)
        return Command(somebody, (*head, *arguments), script)

    def by_token(self) -> Command:
        """Return what `sign-again` does, of somebody whose key is on a token of SoftHSM."""
        holder = self.person()
        token = softhsm.SoftHsm(holder.home / "token")
        holder.environment |= token.environment | {"NOTARYPY_PASSPHRASE_JEFF": softhsm.PIN}
        token.make_token("release")
        holder.notarypy("key", "add", token.make_key("release", "jeff"), "--name", "jeff").expect(0)
        name = self.repository()
        public = softhsm.public_half(holder, "jeff")
        self.owner.notarypy("init", name, "--signer", "jeff", "--key", public).expect(0)
        first, second = self.pushed([name], tags=2)
        holder.notarypy("sign", first).expect(0)
        return Command(holder, ("sign", second))

    def by_service(self, *arguments: str) -> Command:
        """Return a command of somebody who lets a service verify, to which nothing is new."""
        somebody = self.person()
        if not self._service:
            policy = self._directory / "policy.toml"
            policy.write_text("".join(localservice.pinning(self.owner, _name(ref)) for ref in self.signed()))
            kept = localservice.serving(self.person(), policy, "--max-age", "1h")
            self._service = self.stack.enter_context(kept)
        somebody.environment["NOTARYPY_SERVICE"] = self._service
        somebody.notarypy(*arguments).expect(0)
        return Command(somebody, arguments)

    def large(self) -> str:
        """Return a repository of a thousand tags; one for all who want it."""
        if not self._large:
            (name,) = self.initialised()
            (first,) = self.pushed([name])
            digest = self._upstream(name).push("t1000").digest
            listed = self._directory / "refs.txt"
            listed.write_text("".join(f"{first[:-4]}{number}@{digest}\n" for number in range(1000, 2000)))
            self.owner.notarypy("sign", "--from-file", listed).expect(0)
            self._large = name
        return self._large


def _name(ref: str) -> str:
    return ref.rpartition(":")[0]


def _help(lab: Laboratory) -> Command:
    return lab.by_owner("verify", "--help")


def _version(lab: Laboratory) -> Command:
    return lab.by_owner("--version")


def _key_list(lab: Laboratory) -> Command:
    somebody = lab.person()  # the owner has the more keys the more was measured before
    for name in ("jack", "jeff", "jill"):
        somebody.notarypy("key", "generate", name, "--dir", somebody.home).expect(0)
    return Command(somebody, ("key", "list"))


def _complete(lab: Laboratory) -> Command:
    line = ("completion", "bash", "--", "notarypy", "key", "passwd", "j")
    return Command(_key_list(lab).person, line)


def _verify_warm(lab: Laboratory) -> Command:
    return lab.by_owner("verify", *lab.signed())


def _verify_cold(lab: Laboratory) -> Command:
    return lab.by_stranger("verify", *lab.signed())


def _lookup_warm(lab: Laboratory) -> Command:
    return lab.by_owner("verify", "--no-registry", *lab.signed())


def _lookup_cold(lab: Laboratory) -> Command:
    return lab.by_stranger("verify", "--no-registry", *lab.signed())


def _verify_by_service(lab: Laboratory) -> Command:
    return lab.by_service("verify", *lab.signed())


def _verify_tags(lab: Laboratory) -> Command:
    return lab.by_owner("verify", *lab.signed(tags=20))


def _verify_repositories(lab: Laboratory) -> Command:
    return lab.by_stranger("verify", *lab.signed(repositories=20))


def _pin(lab: Laboratory) -> Command:
    dockerfile = lab.owner.home / "Dockerfile"
    dockerfile.write_text("".join(f"FROM {ref}\n" for ref in lab.signed(repositories=20)[:10]))
    return lab.by_owner("pin", str(dockerfile))


def _inspect(lab: Laboratory) -> Command:
    return lab.by_owner("inspect", lab.large())


def _init(lab: Laboratory) -> Command:
    lab.signed()
    home = lab.owner.home
    return lab.by_owner("init", lab.repository(), "--signer", "jeff", "--key", str(home / "jeff.crt"))


def _sign_again(lab: Laboratory) -> Command:
    return lab.by_owner("sign", lab.pushed([_name(lab.signed_anew())], tags=2)[1])


def _sign_token(lab: Laboratory) -> Command:
    return lab.by_token()


def _sign_cold(lab: Laboratory) -> Command:
    command = lab.by_stranger("sign", lab.pushed([_name(lab.signed_anew())], tags=2)[1])
    lab.owner.share_keys_with(command.person)
    return command


def _sign_tags(lab: Laboratory) -> Command:
    return lab.by_owner("sign", *lab.pushed(lab.initialised(), tags=100))


def _revoke(lab: Laboratory) -> Command:
    return lab.by_owner("revoke", lab.signed_anew())


def _rotate(lab: Laboratory) -> Command:
    return lab.by_owner("key", "rotate", _name(lab.signed_anew()), "targets", "--yes")


def _notary_list(lab: Laboratory) -> Command:
    name, _, tag = lab.signed()[0].rpartition(":")
    return lab.by_notary("list", name, name=name, listed=tag)


def _notary_verify(lab: Laboratory) -> Command:
    name, content = lab.repository(), lab.owner.home / "content"
    content.write_bytes(b"x" * 1000)
    head = ("--tlscacert", str(lab.notary.ca), "-s", lab.notary.url, "-d", str(lab.owner.trust_dir))
    lab.owner.notarypy("notary", *head, "add", "-p", name, "v1", content).expect(0)
    return lab.by_notary("verify", name, "v1", "-q", "-i", str(content), name=name, listed="v1")


WORKLOADS: dict[str, Callable[[Laboratory], Command]] = {
    "version": _version,
    "help": _help,
    "key-list": _key_list,
    "complete": _complete,
    "verify-no-registry": _lookup_warm,
    "verify-no-registry-cold": _lookup_cold,
    "verify": _verify_warm,
    "verify-cold": _verify_cold,
    "verify-by-service": _verify_by_service,
    "verify-20-tags": _verify_tags,
    "verify-20-repositories-cold": _verify_repositories,
    "pin-10-images": _pin,
    "inspect-1000-tags": _inspect,
    "init": _init,
    "sign-again": _sign_again,
    "sign-token": _sign_token,
    "sign-cold": _sign_cold,
    "sign-100-tags": _sign_tags,
    "revoke": _revoke,
    "key-rotate": _rotate,
    "notary-list": _notary_list,
    "notary-verify": _notary_verify,
}


@contextlib.contextmanager
def laboratory(
    directory: Path, authority: services.Authority, notary: services.Endpoint, registry: services.Endpoint
) -> Iterator[Laboratory]:
    """Run a laboratory in front of these servers."""
    with rounds.Rounds(authority) as conductor:
        made = Laboratory(directory, conductor, authority)
        with made.stack:
            made.open(notary, registry)
            yield made
