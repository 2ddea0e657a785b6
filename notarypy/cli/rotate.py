"""`notarypy key rotate` and `notarypy key certify`: other keys for a role of a repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from notarypy.cli import references, userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.cli.namedkeys import begin_on
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import render
from notarypy.keys.signers import is_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.client.api import Client
    from notarypy.client.results import RotatedKey

_LOCAL_SNAPSHOT = "the snapshot key of {} is {}: signers elsewhere cannot publish without it"
_FIELDS = "repository role old new threshold root_pins server_managed published legacy"


def rotate(
    context: Context,
    repo: references.Repository,
    role: Annotated[str, Argument(metavar="ROLE", help="root, targets, snapshot or timestamp.")],
    *,
    key: Annotated[
        list[str] | None,
        Option(
            metavar="KEYREF",
            help="A new key: KEY, a file, a URI, or a file with what others hold. Repeatable.",
        ),
    ] = None,
    threshold: Annotated[
        int | None,
        Option(metavar="N", min=1, help="How many keys of root or targets sign; default: as many as now."),
    ] = None,
    replace: Annotated[
        list[str] | None, Option(metavar="KEY", help="Only this key goes, by digits of its id. Repeatable.")
    ] = None,
    server_managed: Annotated[
        bool, Option("--server-managed", help="The server makes and keeps it: snapshot, timestamp.")
    ] = False,
    legacy: Annotated[int, Option(metavar="N", min=0, help="Root keys of N earlier versions sign too.")] = 0,
    offline_part: references.OfflinePart = None,
) -> None:
    """Replace the keys of a role.

    The root keys have to be here, as many as it takes. The old keys stay in the trust directory. Readers
    follow a new root without doing anything. With --threshold and no --key the keys stay. Of others it
    takes a public key, and for root a certificate for the repository, which key certify makes.

    Example:
      notarypy key rotate registry.example.com/app targets
      notarypy key rotate REPO targets --key awskms:///alias/release
      notarypy key rotate REPO root --key root --key bob.crt --threshold 2
      notarypy key rotate REPO root --key dave.crt --replace 1f2e3d4
      notarypy key rotate REPO root --threshold 3 --offline-part root.part
      notarypy key rotate REPO snapshot --server-managed
    """
    run = begin(context)
    references.check_repositories(run, [repo])
    if role == "root" and offline_part is None:
        run.confirm("Go on?", _what_changes(repo, key or (), threshold, replace or ()))
    how: dict[str, Any] = {"key": key, "threshold": threshold, "replaces": replace or ()}
    how |= {"server_managed": server_managed, "legacy": legacy}
    with run.client() as client, run.trying(repo):
        if offline_part is not None:
            _as_part(run, client, repo, offline_part, lambda: client.keys.rotate(repo, role, **how))
            return
        done = client.keys.rotate(repo, role, **how)
        run.report.done(repo, render.fields(done, _FIELDS), *_rotated_lines(done))
        if done.role == "snapshot" and done.published and not done.server_managed:
            where = f"at {key[0]}" if key and is_uri(key[0]) else "only here"
            run.report.warn(_LOCAL_SNAPSHOT.format(done.repository, where))


def _as_part(run: Run, client: Client, repo: str, part: str, publish: Callable[[], object]) -> None:
    from notarypy.cli import partfiles  # most commands publish

    partfiles.make(run, client, [repo], part, publish)


def certify(
    context: Context,
    repo: references.Repository,
    *,
    key: Annotated[
        str | None,
        Option(metavar="KEYREF", help="The root key: KEY, a file, or a URI; default: the only one here."),
    ] = None,
    output: Annotated[str, Option("-o", "--output", metavar="FILE", help="Where the certificate goes.")],
) -> None:
    """Make a certificate of a root key for a repository.

    It is for those who make its root with you. Without a root key here one is made. The certificate is
    public; the key stays where it is.

    Example:
      notarypy key certify registry.example.com/app -o alice.crt
    """
    run = begin_on(context, repo)
    references.check_repositories(run, [repo])
    with run.client() as client, run.trying(repo), userfiles.new_file(Path(output), option="-o") as stream:
        keyid, certificate = client.keys.certify(repo, key=key)
        userfiles.write_new(stream, Path(output), certificate, f"the root key is {keyid}")
        data = {"repository": repo, "keyid": keyid, "certificate": output}
        line = f"the certificate of root key {keyid} for {repo} is in {output}: give it to the others"
        run.report.done(repo, data, line)


def _what_changes(repo: str, keys: Sequence[str], threshold: int | None, replaced: Sequence[str]) -> str:
    """Say which root keys go, and which come."""
    sign = f"{threshold} keys sign the root of {repo} from now on"
    if threshold is not None and not keys and not replaced:
        return sign
    comes = ", ".join(keys) or ("nothing" if replaced else "a key that is made now")
    what = f"root keys of {repo} are replaced: {', '.join(replaced) or 'all that there are'}, by {comes}"
    return what if threshold is None else f"{what}; {sign}"


def _rotated_lines(done: RotatedKey) -> list[str]:
    if not done.published:
        return [f"this is the {done.role} key of {done.repository} already; nothing was published"]
    old, new = (", ".join(keyid[: render.SHORT_ID] for keyid in keyids) for keyids in (done.old, done.new))
    lines = [f"rotated {done.role} of {done.repository}: {old} is replaced by {new}"]
    if done.legacy:
        ids = ", ".join(keyid[: render.SHORT_ID] for keyid in done.legacy)
        lines.append(f"the new root is signed by earlier root keys too: {ids}")
    if done.role == "root":
        return lines + render.root_lines(done.root_pins, done.threshold)
    several = [f"{done.threshold} of these {len(done.new)} keys sign {done.role}"]
    return lines + (several if len(done.new) > 1 else [])
