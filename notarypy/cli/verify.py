"""`notarypy verify` and `notarypy inspect`: whether images are signed, and who signed what."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from notarypy.cli import references
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import render, terminal
from notarypy.errors import Advice, NothingThereError

if TYPE_CHECKING:
    from notarypy.client.api import Client
    from notarypy.client.results import Inspection
    from notarypy.client.verdicts import SkippedImage, VerifiedImage
    from notarypy.client.workers import Outcome

    _Tag = tuple[str, Outcome[VerifiedImage | SkippedImage]]


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
    also: references.Also = None,
    policy: references.Policy = None,
    archive: references.Archive = None,
    no_registry: Annotated[
        bool, Option("--no-registry", help="Do not compare with what the registry serves.")
    ] = False,
    service_only: Annotated[
        bool, Option("--service-only", help="Fail where NOTARYPY_SERVICE does not answer.")
    ] = False,
) -> None:
    """Verify that a registry serves the very digest that was signed.

    Prints REPO@sha256:DIGEST for each REF, and only if all are good. A trust policy is obeyed; --signer,
    --all-signers, --root and --also add to it. --from takes the trust data of an archive (see export), and
    stores nothing. Where NOTARYPY_SERVICE names a service, it is asked in place of all others.

    Example:
      notarypy verify registry.example.com/app:1
      notarypy verify --also cosign:cosign.pub registry.example.com/app:1
      notarypy verify --offline --from trust.tar registry.example.com/app:1
      notarypy verify --all-tags registry.example.com/app
      skopeo copy docker://$(notarypy verify registry.example.com/app:1) dir:app
    """
    run = begin(context, hold=True)
    references.take_archive(run, archive)
    texts = references.with_file(run, list(refs or ()), from_file)
    names = references.read(run, texts, "REPO" if all_tags else "REF")
    if all_tags:
        references.check_repositories(run, texts)
    required = references.verify_options(run, signer, root, policy, all_signers=all_signers, also=also)
    required["registry"] = not no_registry
    done = 0
    if service_only or os.environ.get("NOTARYPY_SERVICE"):
        from notarypy.cli import byservice  # a command without a service takes nothing of it, and the reverse

        done = byservice.report(run, names, required, only=service_only, tags=all_tags)
    if done < len(names):
        _by_itself(run, names[done:], required, all_tags=all_tags)
    if all_tags or from_file is not None:
        run.report.show_held()


def _by_itself(
    run: Run, names: Sequence[references.Name], required: dict[str, Any], *, all_tags: bool
) -> None:
    with run.client(asking=False) as client:
        if all_tags:
            _every_tag(run, client, names, required)
            return
        from notarypy.client.verdicts import image_json

        texts = [name.text for name in names]
        outcomes = client.verify_each(texts, **required)
        with closing(outcomes), run.working(len(texts)) as done:
            for text, found in zip(texts, outcomes, strict=True):
                done()
                with run.trying(text):
                    image = found.get()
                    run.report.done(text, partial(image_json, image, render.error_json), image.reference)


def _every_tag(run: Run, client: Client, names: Sequence[references.Name], required: dict[str, Any]) -> None:
    from notarypy.client.verdicts import image_json
    from notarypy.client.verify.sharing import MetadataCache

    def tags_of(name: references.Name) -> tuple[int, Iterable[_Tag]]:
        cache = MetadataCache()
        tags = client.images.signed_tags(name.text, root=required["root"], cache=cache)
        refs = [f"{name.text}:{tag}" for tag in tags]
        if not refs:
            advice = Advice("sign-a-tag", gun=name.repository)
            raise NothingThereError(f"no tag of {name.text} is signed, so none was verified", advice=advice)
        found = zip(refs, client.verify_each(refs, **required, cache=cache), strict=True)
        return len(refs), found if len(names) == 1 else list(found)

    for name, tags in run.each(names, tags_of):
        with run.trying(name.text):
            count, each = tags.get()
            run.asked_for += 1  # a tag is one of several
            with run.working(count) as done:
                for text, found in each:
                    done()
                    with run.trying(text):
                        image = found.get()
                        data = partial(image_json, image, render.error_json)
                        run.report.done(text, data, f"{text}@{image.digest}")


def inspect(
    context: Context,
    refs: Annotated[list[str], Argument(metavar="REF...", help="Repositories, or single tags of them.")],
    *,
    pretty: Annotated[bool, Option("--pretty", help="Text for people instead of JSON.")] = False,
    root: references.Roots = None,
    policy: references.Policy = None,
    archive: references.Archive = None,
) -> None:
    """Show what is signed, and by whom, as docker trust inspect does.

    The JSON, and with --pretty the text, is docker's. --json prints notarypy's own document
    instead, with roles, versions and expiry dates.

    Example:
      notarypy inspect registry.example.com/app
      notarypy inspect --pretty registry.example.com/app:1
    """
    run = begin(context)
    references.take_archive(run, archive)
    names, pin = references.read(run, refs), references.required_root(run, root, policy)
    found: list[Inspection] = []
    with run.client(asking=False) as client:
        for name, inspected in run.each(names, lambda name: client.inspect(name.text, root=pin)):
            with run.trying(name.text):
                found.append(inspected.get())
                run.report.done(name.text, partial(_inspected_json, found[-1]))
    if run.options.json:
        return
    if pretty:
        columns, painter = terminal.columns(), run.report.painter()
        run.report.text("\n\n".join(render.docker_pretty(each, columns, painter) for each in found))
    else:
        for part in render.docker_json(found):
            run.report.text(part)
        run.report.text("\n")


def _inspected_json(found: Inspection) -> dict[str, Any]:
    return {
        **render.fields(found, "name repository server"),
        "tags": [
            {
                "tag": row.tag,
                "digest": row.digest,
                "signers": [name for name in row.signers if name != render.REPO_ADMIN],
            }
            for row in found.tags
        ],
        "signers": [{"name": name, "keys": keys} for name, keys in found.signers],
        **render.fields(found, "root_keys repository_keys"),
        "roles": [render.fields(entry, render.ROLE) for entry in found.roles],
    }
