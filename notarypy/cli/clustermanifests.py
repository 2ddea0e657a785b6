"""`notarypy admission manifests`: what to apply in a cluster, so that images are verified there.

What it is: options and files in, YAML out. What it is not: the documents (`kubernetes.deployment`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from notarypy import __version__
from notarypy.cli import userfiles
from notarypy.cli.declared import Option
from notarypy.cli.run import Context, Run, begin
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

_AUTHORITIES, _ONLY_FOR_NOTARY = "authorities.pem", "notary-authorities.pem"
# Global options that say nothing of a service elsewhere; the others go into its command line.
_LEFT_HERE = ("tlscert", "tlskey", "offline", "first_use", "gun")


Image = Annotated[str, Option(metavar="REF", help="The service's own image, best with its digest.")]
Policy = Annotated[str, Option(metavar="FILE", help="The trust policy, with pins or cosign's keys.")]
Namespace = Annotated[str, Option(metavar="NAME", help="The service's own namespace, which is not guarded.")]
SelfSigned = Annotated[
    bool, Option("--self-signed", help="Make a certificate under a CA of its own, and print its key.")
]
Valid = Annotated[str, Option(metavar="TIME", help="How long a certificate counts that is made here.")]
ByCertManager = Annotated[
    str | None,
    Option(metavar="ISSUER", help="By cert-manager: issuer/NAME, clusterissuer/NAME or self-signed."),
]
TlsSecret = Annotated[
    str | None, Option(metavar="NAME", help="A Secret with tls.crt and tls.key that is there.")
]
CaBundle = Annotated[
    str | None,
    Option(metavar="FILE", help="CAs that the API server is to trust for it; with --self-signed too."),
]
CheckOnly = Annotated[
    bool, Option("--check-only", help="Change no object: images by tag are compared, and stay tags.")
]
Replicas = Annotated[int, Option(metavar="N", min=1, help="How many of the service.")]
Excluded = Annotated[
    list[str] | None, Option(metavar="NAME", help="Guard this one not either. May be repeated.")
]
Logins = Annotated[
    str | None,
    Option(metavar="NAME", help="A Secret of type kubernetes.io/dockerconfigjson: logins at registries."),
]
Authorities = Annotated[
    str | None,
    Option("--ca", metavar="FILE", help="The CAs of registries and servers, in place of the usual ones."),
]
VolumeClaim = Annotated[
    str | None, Option(metavar="NAME", help="A PersistentVolumeClaim that keeps the trust data.")
]


def manifests(
    context: Context,
    *,
    image: Image,
    policy: Policy,
    namespace: Namespace = NAME,
    self_signed: SelfSigned = False,
    valid: Valid = "2y",
    cert_manager: ByCertManager = None,
    tls_secret: TlsSecret = None,
    ca_bundle: CaBundle = None,
    check_only: CheckOnly = False,
    replicas: Replicas = 2,
    exclude_namespace: Excluded = None,
    docker_config_secret: Logins = None,
    ca: Authorities = None,
    volume_claim: VolumeClaim = None,
) -> None:
    """Print what to apply so that a cluster runs signed images alone.

    That is: namespace, policy, the service, its certificate, and the two webhook configurations. --server,
    --config, --tlscacert, --insecure-registry and --timeout are those of the service. Nothing is asked, and
    nothing is changed.

    Example:
      notarypy admission manifests --image REF@DIGEST --policy policy.toml --self-signed >notarypy.yaml
      notarypy admission manifests --image REF@DIGEST --policy policy.toml --cert-manager issuer/corp
    """
    run = begin(context)
    wanted = Installation(
        image=image,
        namespace=namespace,
        replicas=replicas,
        mutate=not check_only,
        docker_config=docker_config_secret or "",
        volume_claim=volume_claim or "",
        excluded=tuple(exclude_namespace or ()),
        **_certificate(namespace, cert_manager, tls_secret, ca_bundle, valid if self_signed else None),
        **_service_files(run, Path(policy), ca),
    )
    documents = deployment.documents(wanted)
    for warning in _warnings(wanted):
        run.report.warn(warning)
    run.report.done(image, {"documents": documents})
    run.report.text(yamltext.comment(*_said(wanted)) + yamltext.documents(documents))


def _certificate(
    namespace: str, cert_manager: str | None, secret: str | None, bundle: str | None, valid: str | None
) -> dict[str, Any]:
    """Return where the certificate is from, and which CAs are to be trusted for it."""
    if [cert_manager is None, secret is None, valid is None].count(False) != 1:
        message = "it takes one certificate for the service: from one of three places"
        raise UsageError(message, advice=Advice("name-certificate-source"))
    authorities = _pem(bundle) if bundle else ""
    if valid is not None:
        from notarypy.client.api import utc_now
        from notarypy.keys import serverpair

        made = serverpair.issue("notarypy", service_hosts(namespace), utc_now(), _span(valid))
        given = GivenPair(made.certificate.decode(), made.key.decode(), made.until)
        return {"certificate": given, "authorities": made.authority.decode() + authorities}
    if secret is not None:
        if not bundle:
            advice = Advice("give-ca-bundle")
            raise UsageError("nothing says whom the API server is to trust", advice=advice)
        return {"certificate": SecretThere(secret), "authorities": authorities}
    if bundle:
        raise UsageError("cert-manager says whom to trust", advice=Advice("leave-out", option="--ca-bundle"))
    return {"certificate": issuer(cert_manager or "")}


def _span(text: str) -> timedelta:
    from notarypy.storage.settings import spans

    found = spans.parse(text)
    if not found:
        raise UsageError(f'--valid "{text}" is no span of time', advice=Advice("write-span"))
    return found


def _pem(path: str) -> str:
    """Return a file of certificates, and nothing else that is in it."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from notarypy.tuf import serials

    try:
        found = serials.load_pem(userfiles.read(path))
    except (ValueError, TypeError):
        found = []
    if not found:
        raise UsageError(f"{userfiles.name(path)} has no certificate", advice=Advice("give-certificate"))
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in found)


def _service_files(run: Run, policy: Path, ca: str | None) -> dict[str, Any]:
    """Return the policy and other files of the service, and the options by which it is to use them."""
    from notarypy.storage.settings import policybundle

    found = policybundle.of_policy(policy, POLICY_FILE)
    given, options = run.options.for_client, _options(run, policy)
    files: dict[str, bytes] = {}
    environment: dict[str, str] = {}
    if config := given.get("config"):
        there = SETTINGS_DIR / f"config{Path(config).suffix}"
        files |= policybundle.of_config(Path(config), there)
        options += ["--config", str(there)]
    if authorities := given.get("tlscacert"):
        files[_ONLY_FOR_NOTARY] = _pem(authorities).encode()
        options += ["--tlscacert", str(SETTINGS_DIR / _ONLY_FOR_NOTARY)]
    if ca:
        files[_AUTHORITIES] = _pem(ca).encode()
        environment["SSL_CERT_FILE"] = str(SETTINGS_DIR / _AUTHORITIES)
    return {
        "policy": found,
        "settings": files,
        "environment": environment,
        "options": tuple(options),
    }


def _options(run: Run, policy: Path) -> list[str]:
    """Return the global options of the service, which are checked here as they will be there."""
    from notarypy.client.api import utc_now
    from notarypy.service import heldpolicy
    from notarypy.storage.settings import settings

    given = run.options.for_client
    run.leave_out(*_LEFT_HERE)
    heldpolicy.hold(settings.load({**given, "policy": policy}, {}, Path("/nonexistent")), utc_now())
    words = [f"--insecure-registry={host}" for host in given.get("insecure_registry", ())]
    return [*words, *(f"--{name}={given[name]}" for name in ("server", "timeout") if given.get(name))]


def _warnings(wanted: Installation) -> Iterator[str]:
    if "@sha256:" not in wanted.image:
        yield f"{wanted.image} has no digest: whoever can move that tag decides who verifies images"
    if isinstance(wanted.certificate, GivenPair):
        yield "what is printed holds a private key: keep it as a secret, and out of repositories"


def _said(wanted: Installation) -> Iterator[str]:
    """Yield what stands above the documents, for those who apply them."""
    selected, own = "app.kubernetes.io/component=server", wanted.namespace
    yield f"notarypy {__version__}: a service that verifies images, and the webhooks that ask it."
    yield f"First verify its own image, which nobody else does: notarypy verify {wanted.image}"
    yield (
        f"Then apply the service alone, and wait for it: kubectl apply -l {selected} -f FILE; "
        f"kubectl rollout status deployment/{NAME} -n {own}"
    )
    yield "Then all of it: kubectl apply -f FILE. From then on nothing runs that the policy refuses."
    yield f"Who may create pods in namespace {own} is not asked about images: let nobody do so."
    if isinstance(wanted.certificate, GivenPair):
        until = f"{wanted.certificate.until:%Y-%m-%d}"
        yield (
            f"THIS FILE HOLDS A PRIVATE KEY. Its certificate ends on {until}; then nothing starts any more. "
            "Before that, and whenever this command is run again, the next CA and this one have to be "
            f"trusted side by side: kubectl get secret notarypy-tls -n {own} "
            """-o go-template='{{index .data "ca.crt"}}' | base64 -d >ca.crt; and add --ca-bundle ca.crt."""
        )
