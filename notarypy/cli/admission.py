"""`notarypy admission`: a cluster that runs verified images alone.

What it is: options and files in; out come answers as JSON, and as YAML what to apply. What it is not: the
documents (`kubernetes.deployment`), or the verdict on an image (`service.webhook`).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from notarypy import __version__
from notarypy.cli import references, userfiles
from notarypy.cli.declared import Argument, Commands, Option
from notarypy.cli.run import Context, Run, begin
from notarypy.cli.text import render, serveradvice
from notarypy.cli.text.advice import own_advice
from notarypy.errors import Advice, UsageError
from notarypy.kubernetes import deployment, yamltext
from notarypy.kubernetes.installation import (
    NAME,
    POLICY_FILE,
    SETTINGS_DIR,
    GivenPair,
    Installation,
    SecretThere,
    issuer,
    service_hosts,
)
from notarypy.storage.settings import spans

app = Commands("Images of a Kubernetes cluster, verified before they run.")

_AUTHORITIES, _ONLY_FOR_NOTARY, _OF_CLIENTS = "authorities.pem", "notary-authorities.pem", "clients.pem"
_CONFIG = "config"  # a folder, so that no file that a configuration names is called as one of these
_LEAST, _MOST, _MOST_REPLICAS = timedelta(hours=1), timedelta(days=20 * 365), 100
# Global options that say nothing of a service elsewhere; the others go into its command line.
_LEFT_HERE = (
    *("tlscert", "tlskey", "offline", "first_use", "gun"),
    *("trust_dir", "retry_for", "passphrase_file"),
)


Image = Annotated[str, Option(metavar="REF", help="The service's own image, by digest.")]
Policy = Annotated[str, Option(metavar="FILE", help="The trust policy: pins, or cosign's keys.")]
Namespace = Annotated[str, Option(metavar="NAME", help="The service's own, not guarded.")]
SelfSigned = Annotated[
    bool, Option("--self-signed", help="Make a CA and a certificate, whose private key is printed, too.")
]
Valid = Annotated[str | None, Option(metavar="TIME", help="How long that certificate counts; else 2y.")]
ByCertManager = Annotated[
    str | None, Option(metavar="ISSUER", help="issuer/NAME, clusterissuer/NAME, self-signed.")
]
TlsSecret = Annotated[str | None, Option(metavar="NAME", help="A Secret that has tls.crt and tls.key.")]
CaBundle = Annotated[str | None, Option(metavar="FILE", help="CAs that the API server trusts for it.")]
CheckOnly = Annotated[bool, Option("--check-only", help="Change no object: tags are compared, and stay.")]
Replicas = Annotated[int, Option(metavar="N", min=1, max=_MOST_REPLICAS, help="How many there are.")]
WarnOnly = Annotated[bool, Option("--warn-only", help="Refuse nothing; warn of what would be refused.")]
Excluded = Annotated[list[str] | None, Option(metavar="NAME", help="Guard this one not either. Repeatable.")]
Only = Annotated[list[str] | None, Option(metavar="NAME", help="Guard this one, and no other. Repeatable.")]
Logins = Annotated[str | None, Option(metavar="NAME", help="Logins: a Secret of type dockerconfigjson.")]
Authorities = Annotated[
    str | None, Option("--ca", metavar="FILE", help="The CAs of registries, in place of the usual.")
]
TlsClientCa = Annotated[
    str | None, Option(metavar="FILE", help="Verify only for API servers with a certificate of these CAs.")
]
VolumeClaim = Annotated[str | None, Option(metavar="NAME", help="Keeps the trust data; else memory does.")]


@app.command("manifests")
def manifests(
    context: Context,
    *,
    image: Image,
    policy: Policy,
    namespace: Namespace = NAME,
    self_signed: SelfSigned = False,
    valid: Valid = None,
    cert_manager: ByCertManager = None,
    tls_secret: TlsSecret = None,
    ca_bundle: CaBundle = None,
    check_only: CheckOnly = False,
    warn_only: WarnOnly = False,
    replicas: Replicas = 2,
    exclude_namespace: Excluded = None,
    only_namespace: Only = None,
    docker_config_secret: Logins = None,
    ca: Authorities = None,
    tls_client_ca: TlsClientCa = None,
    volume_claim: VolumeClaim = None,
) -> None:
    r"""Print what to apply so that a cluster runs signed images alone.

    That is: namespace, policy, the service, its certificate, and the two webhook configurations. --server,
    --config, --tlscacert, --insecure-registry and --timeout are those of the service. Nothing is asked, and
    nothing is changed.

    Example:
      notarypy admission manifests --image REPO@sha256:DIGEST --policy p.toml \
        --self-signed >notarypy.yaml
      notarypy admission manifests --image REF --policy p.toml --tls-secret tls
    """
    run = begin(context)
    if exclude_namespace and only_namespace:
        message = "--only-namespace and --exclude-namespace exclude each other"
        raise UsageError(message, advice=Advice("keep-one"))
    wanted = Installation(
        image=image,
        namespace=namespace,
        replicas=replicas,
        mutate=not check_only,
        warn_only=warn_only,
        docker_config=docker_config_secret or "",
        volume_claim=volume_claim or "",
        excluded=tuple(exclude_namespace or ()),
        only=tuple(only_namespace or ()),
        **_certificate(namespace, cert_manager, tls_secret, ca_bundle, _life(valid, self_signed=self_signed)),
        **_service_files(run, Path(policy), ca, tls_client_ca),
    )
    documents = deployment.documents(wanted)
    for warning in _warnings(wanted):
        run.report.warn(warning)
    run.report.done(image, {"documents": documents})
    said = _said(wanted, deployment.apply(documents))
    run.report.text(yamltext.comment(*said) + yamltext.documents(documents))


def _certificate(
    namespace: str, cert_manager: str | None, secret: str | None, bundle: str | None, life: timedelta | None
) -> dict[str, Any]:
    """Return where the certificate is from, and which CAs are to be trusted for it."""
    if [cert_manager is None, secret is None, life is None].count(False) != 1:
        message = "it takes one certificate for the service: from one of three places"
        raise UsageError(message, advice=Advice("name-certificate-source"))
    authorities = _pem(bundle) if bundle else ""
    if life is not None:
        from notarypy.client.api import utc_now
        from notarypy.keys import serverpair

        made = serverpair.issue("notarypy", service_hosts(namespace), utc_now(), life)
        given = GivenPair(made.certificate.decode(), made.key.decode(), made.until)
        return {"certificate": given, "authorities": made.authority.decode() + authorities}
    if secret is not None:
        if not bundle:
            raise UsageError("nothing says whom the API server is to trust", advice=Advice("give-ca-bundle"))
        return {"certificate": SecretThere(secret), "authorities": authorities}
    if bundle:
        raise UsageError("cert-manager says whom to trust", advice=Advice("leave-out", option="--ca-bundle"))
    return {"certificate": issuer(cert_manager or "")}


def _life(valid: str | None, *, self_signed: bool) -> timedelta | None:
    """Return how long a certificate is to count that is made here, None where none is."""
    from notarypy.storage.settings import spans

    if not self_signed:
        if valid is not None:
            message = "--valid is for certificates that are made here"
            raise UsageError(message, advice=Advice("leave-out", option="--valid"))
        return None
    found = spans.parse(valid or "2y")
    if found is None or not _LEAST <= found <= _MOST:
        why = "it is a TIME from 1h to 20y"
        raise UsageError(f'--valid cannot be "{valid}"', why=why, advice=Advice("write-span"))
    return found


def _pem(path: str) -> str:
    """Return a file of certificates, and nothing else that is in it."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from notarypy.tuf import certificateparts

    try:
        found = certificateparts.load_pem(userfiles.read(path))
    except (ValueError, TypeError):
        found = []
    if not found:
        raise UsageError(f"{userfiles.name(path)} has no certificate", advice=Advice("give-certificate"))
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in found)


def _service_files(run: Run, policy: Path, ca: str | None, of_clients: str | None) -> dict[str, Any]:
    """Return the policy and other files of the service, and the options by which it is to use them."""
    from notarypy.storage.settings import policybundle

    found = policybundle.of_policy(policy, POLICY_FILE)
    given, options = run.options.for_client, _options(run, policy)
    files: dict[str, bytes] = {}
    environment: dict[str, str] = {}
    if config := given.get("config"):
        there = SETTINGS_DIR / _CONFIG / f"config{Path(config).suffix}"
        found_beside = policybundle.of_config(Path(config), there)
        files |= {f"{_CONFIG}/{name}": data for name, data in found_beside.items()}
        options += ["--config", str(there)]
    for option, name, path in (
        ("--tlscacert", _ONLY_FOR_NOTARY, given.get("tlscacert")),
        ("--tls-client-ca", _OF_CLIENTS, of_clients),
    ):
        if path:
            files[name] = _pem(path).encode()
            options += [option, str(SETTINGS_DIR / name)]
    if ca:
        files[_AUTHORITIES] = _pem(ca).encode()
        environment["SSL_CERT_FILE"] = str(SETTINGS_DIR / _AUTHORITIES)
    return {"policy": found, "settings": files, "environment": environment, "options": tuple(options)}


def _options(run: Run, policy: Path) -> list[str]:
    """Return the global options of the service, which are checked here as they will be there."""
    from notarypy.client.api import utc_now
    from notarypy.service import generation
    from notarypy.storage.settings import settings

    given = run.options.for_client
    run.refuse_options(*_LEFT_HERE)
    generation.hold(settings.load({**given, "policy": policy}, {}, Path("/nonexistent")), utc_now())
    words = [f"--insecure-registry={host}" for host in given.get("insecure_registry", ())]
    return [*words, *(f"--{name}={given[name]}" for name in ("server", "timeout") if given.get(name))]


def _warnings(wanted: Installation) -> Iterator[str]:
    if "@sha256:" not in wanted.image:
        yield f"{wanted.image} has no digest: whoever can move that tag decides who verifies images"
    if isinstance(wanted.certificate, GivenPair):
        yield "what is printed holds a private key: keep it as a secret, and out of repositories"
        yield (
            "each run makes another CA: to change a service that is there, give --tls-secret notarypy-tls "
            "and --ca-bundle in place of --self-signed"
        )


def _said(wanted: Installation, apply: str) -> Iterator[str]:
    """Yield what stands above the documents, for those who apply them."""
    selected, own, hooks = "app.kubernetes.io/component=server", wanted.namespace, wanted.configuration
    yield f"notarypy {__version__}: a service that verifies images, and the webhooks that ask it."
    yield f"First verify its own image, which nobody else does: notarypy verify {wanted.image}"
    yield (
        f"Then apply the service alone, and wait for it: {apply} -l {selected} -f FILE; "
        f"kubectl rollout status deployment/{NAME} -n {own}"
    )
    refuses = "nothing runs that the policy refuses"
    then = "who applies something is warned of what would be refused" if wanted.warn_only else refuses
    yield f"Then all of it: {apply} -f FILE. From then on {then}."
    if wanted.only:
        yield f"Guarded are these namespaces alone: {', '.join(wanted.only)}"
    if not wanted.mutate:
        yield (
            "Applying takes nothing away. Where images were changed before, this ends it: "
            f"kubectl delete --ignore-not-found mutatingwebhookconfiguration {hooks}"
        )
    yield f"Who may create pods in namespace {own} is not asked about images: let nobody do so."
    kinds = "mutatingwebhookconfiguration,validatingwebhookconfiguration"
    yield f"To refuse nothing any more, at once: kubectl delete --ignore-not-found {kinds} {hooks}"
    if isinstance(wanted.certificate, GivenPair):
        until = f"{wanted.certificate.until:%Y-%m-%d}"
        kept = (
            f"kubectl get secret notarypy-tls -n {own} "
            """-o go-template='{{index .data "ca.crt"}}' | base64 -d >ca.crt"""
        )
        yield (
            f"THIS FILE HOLDS A PRIVATE KEY. Its certificate ends on {until}; then nothing starts any more. "
            f"Before that, make the next one, trusted side by side with this: {kept}; and this command "
            "again with --ca-bundle ca.crt. To print anything else anew keep the certificate: the same, "
            "with --tls-secret notarypy-tls in place of --self-signed."
        )


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
