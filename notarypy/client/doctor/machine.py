"""This machine: Python and packages, the trust directory and its files, and what else of them is left behind.

What it is: looks at files, and at nothing on a network. What it is not: private keys (`privatekeys`), or the
programs beside us (`otherprograms`).

Rules:

1. A lock is held if a process holds it now; the file of a lock is never removed, and means nothing by itself.
2. A time in the future is one that this machine's clock has not reached, give or take some minutes.
3. A root that cannot be read is bad: nothing goes on without a decision. Any other cached file is fetched
   anew, so it is a warning.
4. What cannot be looked at is bad: nobody knows which repositories and keys are there.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import __version__, files, jsontext, system
from notarypy.client.backup.contents import read_note
from notarypy.client.findings import quoted
from notarypy.client.keys import migrating
from notarypy.errors import Advice, MetadataError
from notarypy.keys import oskeyring
from notarypy.keys.keypaths import key_paths
from notarypy.remote.http.urls import proxy_for
from notarypy.tuf import canonical, roles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.client.findings import Findings
    from notarypy.client.session import Session
    from notarypy.storage.trustdir import TrustDirectory

_PACKAGES = ("cryptography", "securesystemslib", "canonicaljson", "typer", "requests", "urllib3")
_LEAST_FREE = 16 << 20
_SKEW, _WRITING = timedelta(minutes=5), timedelta(minutes=10)
_OTHERS_READ, _OTHERS_WRITE = 0o077, 0o022
_MOST_NAMED, _SHORT = 5, 12
BACKUP_OLD = timedelta(days=90)


def environment(found: Findings, session: Session) -> None:
    """Look at Python, the packages, and what variables need."""
    area, environ = "environment", session.settings.environ
    found.ok(area, f"notarypy {__version__}", version=__version__)
    python = platform.python_version()
    found.ok(area, f"Python {python} at {sys.executable or 'an unknown place'}", version=python)
    for name in _PACKAGES:
        try:
            found.ok(area, f"{name} {(version := metadata.version(name))}", package=name, version=version)
        except metadata.PackageNotFoundError:
            found.bad(area, f"the package {name} is not installed", Advice("install-anew", package=name))
    if not (home := environ.get("HOME", "") or (str(files.home(environ)) if system.WINDOWS else "")):
        found.warning(area, "HOME is not set", Advice("set-home"))
    elif not Path(home).is_absolute():
        text = f"HOME is {home}, which means another directory wherever a command is run"
        found.warning(area, text, Advice("set-home"))
    with found.looking(area):
        if oskeyring.wanted(environ):
            oskeyring.require_usable()
            found.ok(area, "NOTARYPY_KEYRING=1, and the keyring can be used")
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        named = environ.get(variable)
        if named and not all(map(os.path.exists, named.split(os.pathsep))):
            found.bad(area, f"{variable} names {named}, which is not there", Advice("unset", name=variable))
    with found.looking(area):
        proxy_for("https://registry.example.com/", environ)


def trust_files(found: Findings, session: Session) -> None:
    """Look at the trust directory: who may use it, what is in it, and what was left in it."""
    area, directory = "files", session.trust_dir
    folders = (session.settings.docker_config, directory.path, directory.private, directory.path / "tuf")
    for folder in folders:
        if os.path.lexists(folder) and not os.path.isdir(folder):  # noqa: PTH112 - asks, and raises nothing
            what = "is a link to no directory" if folder.is_symlink() else "is no directory"
            found.bad(area, f"{folder} {what}", Advice("put-directory"))
    if not directory.path.is_dir():
        if not os.path.lexists(directory.path) and not files.lacks_home(directory.path):
            found.ok(area, f"{directory.path} is not there yet: nothing is known, and no key is here")
        return
    with found.looking(area):
        for text in directory.check():
            close = Advice("close-directory", path=quoted(directory.path))
            found.warning(area, text, Advice("check-owner") if " belongs to " in text else close)
    _access(found, directory.path)
    with found.looking(area):
        guns = directory.guns()
        found.ok(area, f"repositories known in {directory.path}: {len(guns)}", repositories=guns)
        for gun in guns:
            with found.looking(area):
                _cached(found, session, gun)
    with found.looking(area):
        _old_folders(found, directory, session.now())
    _left_behind(found, directory.path, session.now())


def _old_folders(found: Findings, directory: TrustDirectory, now: datetime) -> None:
    """Say what is there of the folders of Notary before 0.4 (`migrating`)."""
    old = migrating.migrate(directory, lambda: now, 0, dry_run=True)
    if old.keys or old.others:
        text = f"keys and other files are in folders of Notary before 0.4: {len(old.keys) + len(old.others)}"
        what = "Go notary moves such keys when it is next used, and deletes what it does not understand"
        found.warning("files", text, Advice("migrate-keys"), what)
    for known in old.known_roots:
        found.ok(
            "files",
            f"{known.path} says which root {known.repository} has, of which none is cached",
            repository=known.repository,
            root_pins=known.root_pins,
        )
    for error in old.left:
        found.failure("files", error, "warning")


def _access(found: Findings, path: Path) -> None:
    if not os.access(path, os.R_OK | os.X_OK):
        found.bad("files", f"{path} cannot be read", Advice("check-owner"))
    elif not os.access(path, os.W_OK):
        text = f"{path} cannot be written: nothing new is remembered, and nothing can be signed"
        found.warning("files", text, Advice("choose-writable"))
    elif (path / "private").is_dir() and not os.access(path / "private", os.W_OK | os.X_OK):
        text = f"{path / 'private'} cannot be written: no key can be made, taken in or changed"
        found.warning("files", text, Advice("check-owner"))
    free = shutil.disk_usage(path).free
    if free < _LEAST_FREE:
        found.bad("files", f"the disk of {path} has {free} bytes left", Advice("free-disk"))
    private = path / "private"
    if private.is_dir() and system.permissions(private.stat()) & _OTHERS_READ:
        text = f"other users may look into {private} (mode {system.permissions(private.stat()):o})"
        found.warning("files", text, Advice("close-private", path=quoted(private)))


def _cached(found: Findings, session: Session, gun: str) -> None:
    """Look at the cached files of a repository (rule 3), and at changes that are staged."""
    cache = session.trust_dir.repository(gun).unwritten()
    cache.load_root()
    for role in cache.cached():
        data = cache.load(role)
        try:
            whole = data is not None and bool(canonical.decode(data, role, session.limits))
        except MetadataError:
            whole = False
        if not whole and role != roles.ROOT:
            text = f"the cached {role} of {gun} is cut short or damaged: it is fetched anew"
            found.warning("files", text, Advice("refresh-cache", gun=gun), *cache.warnings)
    if staged := cache.staged():
        text = f"changes of {gun} are staged, and not published: {staged}"
        found.warning("files", text, Advice("publish-staged", gun=gun))


def _left_behind(found: Findings, path: Path, now: datetime) -> None:
    held, left, ahead = list[Path](), list[Path](), list[Path]()
    for each, status in _walk(found, path):
        changed = datetime.fromtimestamp(min(status.st_mtime, 1 << 37), UTC)
        if each.name.startswith(".notarypy-") and each.name.endswith(".lock"):
            held += [each] if files.is_locked(each) else []
        elif each.name.startswith(".notarypy-") and each.name.endswith(".tmp"):
            left += [each] if changed < now - _WRITING else []
        if changed > now + _SKEW:
            ahead.append(each)
    for lock in held:
        text = f"another process works in {lock.parent} now, and holds its lock"
        found.warning("files", text, Advice("wait-for-other"))
    if left:
        text = f"files of processes that were killed are left: {_names(left)}"
        found.warning("files", text, Advice("remove-files", files=_words(left)))
    if ahead:
        text = f"files have a time in the future: {_names(ahead)}"
        found.warning("clock", text, Advice("touch-files", files=_words(ahead)))


def _walk(found: Findings, top: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield every file, and note the folders and files that nobody can look at (rule 4)."""

    def unseen(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # it has just gone
            text = f"{error.filename} cannot be looked at: {error.strerror}"
            found.bad("files", text, Advice("check-owner"))

    for folder, inner, names in os.walk(top, onerror=unseen):
        for link in (path for name in inner if (path := Path(folder, name)).is_symlink()):
            found.bad("files", f"{link} is a link, and is not followed", Advice("put-directory"))
        for name in sorted(names):
            path = Path(folder, name)
            try:
                yield path, path.lstat()
            except OSError as error:
                unseen(error)


def _names(paths: list[Path]) -> str:
    more = len(paths) - _MOST_NAMED
    return ", ".join(map(str, paths[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _words(paths: list[Path]) -> str:
    return " ".join(map(quoted, paths[:_MOST_NAMED]))


def policy(found: Findings, session: Session) -> None:
    """Look at the trust policy, and at the files that settings name."""
    with found.looking("policy"):
        read = session.trust_policy()
        if read is None:
            found.ok("policy", "there is no trust policy: whatever a repository's signers release is taken")
        else:
            for scope in read.scopes.values():
                for named in filter(None, (scope.roots, scope.require.cosign)):
                    for path in named.paths:
                        with found.looking("policy"):
                            named.read(path)
            count = len(read.scopes)
            found.ok("policy", f"{read.path} can be read, and has {count} scopes", scopes=list(read.scopes))
    _named_files(found, session)


def _named_files(found: Findings, session: Session) -> None:
    settings = session.settings
    named = {"the CAs of Notary servers": settings.tls_ca, "the client certificate": settings.tls_cert}
    named |= {"the key of the client certificate": settings.tls_key, "the archive": settings.archive}
    named |= {"the passphrase file": settings.passphrase_file}
    named |= {
        f"the CAs of the Notary server of {host}": table.ca for host, table in settings.registries.items()
    }
    named |= {f"the authorities for {gun}": path for gun, path in settings.gun_authorities.items()}
    for what, path in named.items():
        if path is not None and not os.access(path, os.R_OK):
            reason = "cannot be read" if path.exists() else "is not there"
            found.bad("configuration", f"{what}, {path}, {reason}", Advice("check-file"))
    for path in filter(None, (settings.passphrase_file, settings.tls_key)):
        if path.exists() and system.permissions(path.stat()) & _OTHERS_READ:
            text = f"other users may read {path}, which holds a secret"
            found.warning("configuration", text, Advice("close-file", path=quoted(path)))
    for path in (settings.config, None if settings.policy is None else settings.policy.path):
        if path is not None and path.exists() and system.permissions(path.stat()) & _OTHERS_WRITE:
            text = f"other users may write to {path}, which says whom to trust"
            found.warning("configuration", text, Advice("close-directory", path=quoted(path)))


def service(found: Findings, session: Session) -> None:
    """See whether the verification service answers, where one is named."""
    from notarypy.remote import verificationservice  # few have one

    area = "service"
    with found.looking(area):
        path = verificationservice.socket_path(session.settings.environ)
        if path:
            verificationservice.check(path, session.settings.timeout)
            found.ok(area, f"{verificationservice.VARIABLE}: the verification service at {path} answers")


def backup(found: Findings, session: Session) -> None:
    """Say how old the last backup is, where there are keys to lose."""
    area, private = "backup", session.trust_dir.private
    here = key_paths(private)[0]
    if not here:
        return
    noted = read_note(session.trust_dir.path)
    if noted is None:
        found.warning(area, "no backup of the keys here is known of", Advice("make-backup"))
        return
    age, made = session.now() - noted.made, f"the last backup was made on {noted.made:%Y-%m-%d}"
    missing = sorted(here.keys() - set(noted.keys))
    if age < -_SKEW:
        found.warning(area, f"{made}, which is still to come", Advice("mend-clock"))
    elif missing:
        names = ", ".join(keyid[:_SHORT] for keyid in missing[:_MOST_NAMED])
        found.warning(area, f"{made}, and has not all keys that are here: {names}", Advice("make-backup"))
    elif age > BACKUP_OLD:
        found.warning(area, f"{made}, {age.days} days ago", Advice("make-backup"))
    else:
        found.ok(area, f"{made}, {age.days} days ago", made=jsontext.moment(noted.made), file=noted.path)
