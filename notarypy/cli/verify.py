"""`notarypy verify` and `notarypy inspect`: whether images are signed, and who signed what."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Context, Option

from notarypy.cli import references
from notarypy.cli.run import begin
from notarypy.cli.text import render, terminal
from notarypy.client.verdicts import SkippedImage, VerifiedImage
from notarypy.errors import Advice, NothingThereError

if TYPE_CHECKING:
    from notarypy.client.results import Inspection
    from notarypy.client.verdicts import Evidence


def verify(
    context: Context,
    refs: Annotated[
        list[str] | None,
        Argument(metavar="[REF...]", help="Images, or digests of them; with --all-tags, repositories."),
    ] = None,
    *,
    from_file: references.FromFile = None,
    all_tags: Annotated[bool, Option("--all-tags", help="Every signed tag of these repositories.")] = False,
    signer: references.Signers = None,
    all_signers: references.AllSigners = False,
    root: references.Roots = None,
    policy: references.Policy = None,
    no_registry: Annotated[
        bool, Option("--no-registry", help="Do not compare with what the registry serves.")
    ] = False,
) -> None:
    """Verify that images are signed and served as signed.

    Prints REPO@sha256:DIGEST for each REF, and only if all are good. A trust policy, where there
    is one, is obeyed; --signer, --all-signers and --root add to it.

    Example:
      notarypy verify registry.example.com/app:1
      notarypy verify --from-file images.txt
      notarypy verify --all-tags registry.example.com/app
      skopeo copy docker://$(notarypy verify registry.example.com/app:1) dir:app
    """
    from notarypy.client.verify.image import MetadataCache

    run = begin(context, hold=True)
    texts = references.with_file(run, list(refs or ()), from_file)
    names = references.read(run, texts, "REPO" if all_tags else "REF")
    if all_tags:
        references.check_repositories(run, texts)
    required = references.verify_options(run, signer, root, policy, all_signers=all_signers)
    uses, cache = Counter(name.repository for name in names), MetadataCache()
    with run.client(asking=False) as client:

        def check(text: str, shared: MetadataCache | None) -> None:
            with run.trying(text, among=("", "") if all_tags else ()):
                image = client.verify_unless_skipped(text, **required, registry=not no_registry, cache=shared)
                line = f"{text}@{image.digest}" if all_tags else image.reference
                run.report.done(text, _verified_json(image), line)

        for name in names:
            if not all_tags:
                check(name.text, cache if uses[name.repository] > 1 else None)
                continue
            with run.trying(name.text, among=texts):
                for tag in _tags(
                    client.images.signed_tags(name.text, root=required["root"], cache=cache), name
                ):
                    check(f"{name.text}:{tag}", cache)
    if all_tags or from_file is not None:
        run.report.show_held()


def _tags(found: list[str], name: references.Name) -> list[str]:
    """Return tags, of which there has to be one."""
    if not found:
        advice = Advice("sign-a-tag", gun=name.repository)
        raise NothingThereError(f"no tag of {name.text} is signed, so none was verified", advice=advice)
    return found


def _verified_json(image: VerifiedImage | SkippedImage) -> dict[str, Any]:
    verified = None if isinstance(image, SkippedImage) else image
    return {
        "image": image.reference,
        **render.fields(image, "repository tag digest size"),
        "verified": verified is not None,
        "role": verified and verified.role,
        "signers": verified.signers if verified else (),
        "expires": verified and render.moment(verified.expires),
        "signed_as": verified and verified.signed_as,
        "policy": render.policy_json(image.policy),
        "evidence": verified and verified.evidence and _evidence_json(verified.evidence),
    }


def _evidence_json(evidence: Evidence) -> dict[str, Any]:
    known = render.fields(evidence, "time server offline compared root_pins root_keys")
    return {**known, "roles": [render.fields(each, "role version expires") for each in evidence.roles]}


def inspect(
    context: Context,
    refs: Annotated[list[str], Argument(metavar="REF...", help="Repositories, or single tags of them.")],
    *,
    pretty: Annotated[bool, Option("--pretty", help="Text for people instead of JSON.")] = False,
    root: references.Roots = None,
    policy: references.Policy = None,
) -> None:
    """Show who signed what, as docker trust inspect does.

    The JSON, and with --pretty the text, is docker's. --json prints notarypy's own document
    instead, with roles, versions and expiry dates.

    Example:
      notarypy inspect registry.example.com/app
      notarypy inspect --pretty registry.example.com/app:1
    """
    run = begin(context)
    names, pin = references.read(run, refs), references.required_root(run, root, policy)
    found: list[Inspection] = []
    with run.client(asking=False) as client:
        for name in names:
            with run.trying(name.text):
                found.append(client.inspect(name.text, root=pin))
                run.report.done(name.text, _inspected_json(found[-1]))
    if pretty:
        columns = terminal.columns()
        run.report.text("\n\n".join(render.docker_pretty(each, columns) for each in found))
    else:
        run.report.text(render.docker_json(found) + "\n")


def _inspected_json(found: Inspection) -> dict[str, Any]:
    return {
        **render.fields(found, "name repository server"),
        "tags": [
            {
                **render.fields(row, "tag digest"),
                "signers": [s for s in row.signers if s != render.REPO_ADMIN],
            }
            for row in found.tags
        ],
        "signers": [{"name": name, "keys": keys} for name, keys in found.signers],
        **render.fields(found, "root_keys repository_keys"),
        "roles": [render.fields(entry, render.ROLE) for entry in found.roles],
    }
