"""`notarypy push`, `notarypy pull` and `notarypy copy`: images with all that belongs to them."""

from __future__ import annotations

from typing import Annotated, Any

from notarypy.cli import references
from notarypy.cli.declared import Argument, Option
from notarypy.cli.run import Context, begin
from notarypy.cli.text import render
from notarypy.client.verdicts import policy_json
from notarypy.errors import Advice, UsageError
from notarypy.storage.images import locations
from notarypy.tuf import roles


def push(
    context: Context,
    source: Annotated[
        str,
        Argument(
            metavar="SOURCE",
            help="oci:DIR[:TAG], oci-archive:TAR[:TAG] or docker-archive:TAR[:REF]; :@N is a place, from 0.",
        ),
    ],
    ref: Annotated[str, Argument(metavar="REF", help="What it is to be called, REPO[:TAG].")],
) -> None:
    """Send an image from files to a registry, without signing it.

    Every digest is checked on the way, and the registry is read back. To sign what is sent:
    notarypy sign --push SOURCE REF.

    Example:
      notarypy push oci:layout:1 registry.example.com/app:1
      notarypy push docker-archive:saved.tar registry.example.com/app:1
    """
    run = begin(context)
    (name,) = references.read(run, [ref])
    locations.source(source)
    with run.client(asking=False) as client, run.trying(name.text):
        done = client.images.push(source, name.text, progress=run.progress())
        run.report.done(name.text, render.fields(done, render.PUSHED), render.pushed_line(done))


def pull(
    context: Context,
    ref: Annotated[str, Argument(metavar="REF", help="The image, or a digest of it.")],
    dest: Annotated[str, Argument(metavar="DEST", help="oci:DIR[:TAG] or oci-archive:TAR[:TAG].")],
    *,
    platform: Annotated[
        str | None, Option(metavar="OS/ARCH", help="Only this platform of an index, as linux/arm64.")
    ] = None,
    signer: references.Signers = None,
    all_signers: references.AllSigners = False,
    root: references.Roots = None,
    also: references.Also = None,
    policy: references.Policy = None,
    archive: references.Archive = None,
) -> None:
    """Verify an image, and fetch it into an OCI layout.

    Prints REPO@sha256:DIGEST. The layout names the image only when all of it is there and was right.

    Example:
      notarypy pull registry.example.com/app:1 oci:layout
      notarypy pull --platform linux/arm64 REF oci-archive:app.tar
    """
    run = begin(context)
    references.take_archive(run, archive)
    (name,) = references.read(run, [ref])
    locations.destination(dest)
    required = references.verify_options(run, signer, root, policy, all_signers=all_signers, also=also)
    with run.client(asking=False) as client, run.trying(name.text):
        done = client.images.pull(name.text, dest, **required, platform=platform, progress=run.progress())
        if done.left_out:
            run.report.warn(f"left out: {', '.join(done.left_out)}")
        names = "repository tag digest verified destination stored platforms left_out fetched reused foreign"
        known = render.fields(done, names)
        data = {"image": done.reference, **known, "policy": policy_json(done.policy, render.error_json)}
        run.report.done(name.text, data, done.reference)


def copy(
    context: Context,
    src: Annotated[str, Argument(metavar="SRC", help="The image, or a digest of it.")],
    dst: Annotated[str, Argument(metavar="DST", help="What the copy is to be called, REPO[:TAG].")],
    *,
    sign_it: Annotated[bool, Option("--sign", help="Sign the copy under its new name.")] = False,
    as_signer: Annotated[
        str | None, Option(metavar="NAME", help="With --sign: only as this signer (and in targets/releases).")
    ] = None,
    init: Annotated[
        bool, Option("--init", help="With --sign: the first time, make trust data; refused without.")
    ] = False,
    signer: references.Signers = None,
    all_signers: references.AllSigners = False,
    root: references.Roots = None,
    also: references.Also = None,
    policy: references.Policy = None,
) -> None:
    """Verify an image, and copy it to another name.

    The digest stays the same. With --sign that digest is signed under the new name.

    Example:
      notarypy copy registry.example.com/app:1 mirror.example.com/app:1
      notarypy copy --sign registry.example.com/app:1 mirror.example.com/app:1
    """
    run = begin(context)
    locations.refuse_files(src, dst)
    source, target = references.read(run, [src, dst])
    if (as_signer or init) and not sign_it:
        alone = "--as-signer" if as_signer else "--init"
        raise UsageError(f"{alone} does nothing without --sign", advice=Advice("add-sign", option=alone))
    if as_signer:
        roles.signer_role(as_signer)
    options = references.verify_options(run, signer, root, policy, all_signers=all_signers, also=also)
    options |= {"sign": sign_it, "signer": as_signer, "init": init}
    with run.client(asking=sign_it) as client, run.trying(target.text):
        done = client.images.copy(source.text, target.text, **options, progress=run.progress())
        data: dict[str, Any] = {**render.fields(done.pushed, render.PUSHED), "source": done.source}
        data |= {"verified": done.verified, "signed": done.signed and render.signed_json(done.signed)}
        lines = [f"copied {done.source}", render.pushed_line(done.pushed)]
        lines += render.signed_lines(done.signed) if done.signed else []
        run.report.done(target.text, data, *lines)
        for role in done.signed.also_old if done.signed else ():
            run.report.warn(f"{role} still lists another digest for {target.tagged}")
