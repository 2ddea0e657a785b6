"""The examination: this machine, servers and repositories, each looked at once, in this order.

What it is: the use case behind `doctor`. What it is not: a single look; those are the other modules here.

Rules:

1. Nothing is changed: no file is written, no lock kept, no key or login asked of a person, no root trusted,
   and servers are asked for what changes nothing (`endpoints`). What is elsewhere, keys and tokens for them,
   is asked for as its service wants it.
2. No trouble ends it. Settings that cannot be used are findings, as what cannot be looked at is.
3. Without names the repositories that are known here are looked at. What is offline, or has an archive in
   place of servers, asks none.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from notarypy.client.doctor import endpoints, machine, origins, otherprograms, privatekeys, repositories
from notarypy.client.doctor.endpoints import Watcher
from notarypy.client.doctor.repositories import KeysHere
from notarypy.client.findings import Findings
from notarypy.client.session import Session
from notarypy.errors import Advice, NotarypyError
from notarypy.images.reference import Reference, parse_repository
from notarypy.keys.keyinfo import KeyInfo
from notarypy.remote.http.urls import host_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from notarypy.client.findings import Examined

MACHINE = "machine"
_NOBODYS = "notarypy-doctor"  # a repository that nobody has, to be asked for where none is known
_LOG = logging.getLogger(__name__)


def examine(
    session: Session, names: Sequence[str], problems: Sequence[NotarypyError] = ()
) -> tuple[Examined, ...]:
    """Look at everything; `problems` are of settings that were left out. The machine comes first."""
    for name in names:
        session.whole_repository(name)
    return tuple(each.examined() for each in _Examination(session, problems).all(names))


class _Examination:
    """One examination, with a session of its own: it asks nobody, and stores nothing."""

    def __init__(self, session: Session, problems: Sequence[NotarypyError]) -> None:
        self.session = Session(
            session.settings,
            session.transport,
            None,
            session.now,
            lambda warning: _LOG.debug("%s", warning),
            limits=session.limits,
            literal=session.literal,
        )
        self.watcher, self.problems = Watcher(), problems
        self.session.connections.watch = self.watcher.around
        self.there: dict[str, bool] = {}
        self.clock_wrong = False

    def all(self, names: Sequence[str]) -> list[Findings]:
        """Return the findings about each subject."""
        found = Findings(MACHINE)
        listed = self._machine(found)
        here = KeysHere({key.keyid for key in listed}, {key.keyid for key in listed if key.refers})
        looked_at = list(names)
        if not names:
            with found.looking("files"):
                looked_at += [gun for gun in self.session.guns() if self._means(gun)]
        about, used = list[Findings](), dict[str, frozenset[str]]()
        with found.looking("server"):
            about += self._named_servers(looked_at)
        for text in looked_at:
            each = Findings(text)
            with each.looking("repository"):
                url = self._url(each, text)
                about += self._around(each, text, url)
                keyids = self._repository(each, text, url, here)
                if keyids is not None:
                    used[self.session.gun(text, whole=True)[0]] = keyids
            about.append(each)
        if self._asks_servers():
            blind = any((one.area, one.level) == ("files", "bad") for one in found.examined().findings)
            whole = not names and not blind and len(used) == len(looked_at)
            privatekeys.unused(found, listed, used, everything=whole)
        self.session.close()
        return [found, *about]

    def _machine(self, found: Findings) -> list[KeyInfo]:
        session, listed = self.session, list[KeyInfo]()
        for problem in self.problems:
            found.failure("configuration", problem)
        with found.looking("configuration"):
            for name, value, source in origins.origins(session.settings):
                found.ok(
                    "configuration", f"{name}: {value} ({source})", setting=name, value=value, source=source
                )
        before = {"environment": machine.environment, "policy": machine.policy, "files": machine.trust_files}
        after = {"backup": machine.backup, "docker": otherprograms.programs, "service": machine.service}
        for area, look in before.items():
            with found.looking(area):
                look(found, session)
        with found.looking("keys"):
            listed = privatekeys.keys(found, session)
        for area, look in after.items():
            with found.looking(area):
                look(found, session)
        return listed

    def _named_servers(self, names: Sequence[str]) -> Iterator[Findings]:
        """Yield what is found about servers that settings name, where no repository leads to them."""
        settings = self.session.settings
        hosts = [host for host, table in settings.registries.items() if table.server]
        if settings.server is not None and not names:
            hosts.append("*")
        known = {self.session.gun(name, whole=True)[1] for name in names}
        for host in hosts:
            if host not in known and self._asks_servers():
                url = settings.server or settings.registries[host].server or ""
                yield from self._server(f"{host_port(url) if host == '*' else host}/{_NOBODYS}", url)

    def _asks_servers(self) -> bool:
        return not self.session.settings.offline and self.session.settings.archive is None

    def _server(self, gun: str, url: str) -> Iterator[Findings]:
        """Yield what is found about a Notary server, once."""
        if url not in self.there:
            found = Findings(url)
            self.there[url] = False
            with found.looking("server"):
                session, watcher = self.session, self.watcher
                self.there[url] = endpoints.notary_server(found, session, watcher, gun, url)
            bad = (one.area for one in found.examined().findings if one.level == "bad")
            self.clock_wrong |= "clock" in bad
            yield found

    def _url(self, each: Findings, text: str) -> str:
        """Return the address of the Notary server of a repository."""
        gun, scope = self.session.gun(text, whole=True)[0], None
        with each.looking("policy"):
            scope = self.session.scope_of_roots(gun)
        return self.session.server_url(gun, scope)

    def _around(self, each: Findings, text: str, url: str) -> list[Findings]:
        """Return what is found about the servers of a repository, if they were not looked at yet."""
        gun, host = self.session.gun(text, whole=True)
        about = list[Findings]()
        otherprograms.endings(each, [host], self.session.now().date())
        if not self._asks_servers():
            each.ok("server", "no server is asked: what is cached here, or in the archive, is all there is")
            return about
        about += self._server(gun, url)
        key = f"registry {host}"
        if not self.session.literal and key not in self.there:
            found = Findings(host)
            reference = Reference(host, gun.partition("/")[2], None, None)
            self.there[key] = endpoints.registry(found, self.session, self.watcher, reference)
            about.append(found)
        return about

    def _repository(self, each: Findings, text: str, url: str, here: KeysHere) -> frozenset[str] | None:
        session = self.session
        gun, host = session.gun(text, whole=True)
        if self._asks_servers() and not self.there.get(url, True):
            each.warning(
                "server",
                f"{gun} was not looked at: its Notary server does not answer as one",
                Advice("mend-server-first", url=url),
            )
            keyids = None
        else:
            keyids = repositories.repository(
                each, session, self.watcher, text, here, clock_wrong=self.clock_wrong
            )
        if self.there.get(f"registry {host}"):
            with each.looking("registry"):
                reference = Reference(host, gun.partition("/")[2], None, None)
                repositories.pushing(each, session, self.watcher, reference)
        return keyids

    def _means(self, gun: str) -> bool:
        """Tell whether the name of a repository that is known here means it."""
        if self.session.literal:
            return True
        try:
            reference = parse_repository(gun)
        except NotarypyError:
            return False
        return f"{reference.registry}/{reference.path}" == gun
