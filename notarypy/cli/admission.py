"""`notarypy admission`: a cluster that runs verified images alone."""

from __future__ import annotations

from concurrent.futures import wait
from contextlib import closing
from typing import Annotated

from notarypy.cli import references, userfiles
from notarypy.cli.clustermanifests import manifests
from notarypy.cli.declared import Argument, Commands, Option
from notarypy.cli.run import Context, begin
from notarypy.cli.text import render, serveradvice
from notarypy.cli.text.advice import own_advice
from notarypy.errors import Advice, UsageError
from notarypy.storage.settings import spans

app = Commands("Images of a Kubernetes cluster, verified before they run.")

app.command("manifests")(manifests)


@app.command("review")
def review(
    context: Context,
    file: Annotated[str, Argument(metavar="FILE", help="An AdmissionReview v1, JSON; - is standard input.")],
    *,
    mutate: Annotated[
        bool, Option("--mutate", help="Name images by their digests: the answer has a patch.")
    ] = False,
    require_digest: Annotated[
        bool, Option("--require-digest", help="Refuse pods whose images have no digest.")
    ] = False,
    deadline: Annotated[
        str, Option(metavar="TIME", help="The most that the answer may take; it says what is not known then.")
    ] = "8s",
    policy: references.Policy = None,
) -> None:
    """Answer an AdmissionReview of Kubernetes.

    As the webhooks of `serve` do, for tests and other engines: prints the answer as JSON, and ends with 0
    if it allows. Every root has to be pinned by the trust policy.

    Example:
      notarypy admission review --mutate review.json
      notarypy admission review --policy cluster.toml - < review.json
    """
    from notarypy.service.verifier import Verifier
    from notarypy.service.webhook import Webhook

    run = begin(context)
    if mutate and require_digest:
        why = "images that have no digest are given one"
        raise UsageError(
            "--mutate and --require-digest exclude each other", why=why, advice=Advice("keep-one")
        )
    if run.options.gun:
        raise UsageError("an AdmissionReview has images", advice=Advice("leave-out", option="--gun"))
    if run.options.for_client.get("offline") and not mutate:
        why, leave = "a tag that stays is compared with its registry", Advice("leave-out", option="--offline")
        raise UsageError("no registry is asked with --offline", why=why, advice=leave)
    seconds = spans.seconds(deadline)
    if seconds is None:
        raise UsageError(f'--deadline "{deadline}" is no TIME', advice=Advice("write-span"))
    references.take_policy(run, policy)
    data = userfiles.read(file).removeprefix(b"\xef\xbb\xbf")  # as PowerShell writes it
    with (
        run.client(asking=False) as client,
        closing(Verifier(client.settings, limits=run.limits)) as verifier,
    ):
        webhook = Webhook(
            verifier,
            require_digest=require_digest,
            advice=serveradvice.at_admission(own_advice),
            limits=run.limits,
        )
        pending = webhook.begin(data, mutate=mutate)
        wait(pending.futures, seconds)
        answer = webhook.finish(pending)
    run.report.own_code = answer.exit_code
    found = {"allowed": answer.allowed, "codes": answer.codes, "review": answer.document}
    run.report.done(userfiles.name(file), found)
    run.report.text(f"{render.document(answer.document, 2)}\n")
