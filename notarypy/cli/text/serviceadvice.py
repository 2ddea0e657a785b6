"""What to do about a verification service: its policy, those who ask it, and what it is asked.

What it is: the part of the table of advice that is about them. What it is not: the rest of it (`advice`).
"""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # -- the webhook of a cluster
    "review-version": 'write admissionReviewVersions: ["v1"] into the webhook configuration',
    "webhook-rules": "leave it out of the rules of the webhook configuration",
    # -- the service and its policy
    "ask-service-later": "ask again in a moment; look for a server that hangs, or run more replicas",
    "give-service-policy": "write one, and name it with --policy FILE: docs/policy.md",
    "pin-in-policy": (
        'write the pins into each of these scopes, roots.ids = ["ROOT-PIN"]: notarypy inspect REPO shows it; '
        "or take nothing on Notary's word there"
    ),
    "require-in-policy": "leave it out, or have whoever runs the service write a scope that verifies",
    # -- what is applied in a cluster
    "choose-own-namespace": "name one that is the service's alone: --namespace notarypy",
    "give-ca-bundle": "give the CAs of that Secret's certificate: --ca-bundle FILE",
    "give-public-half-alone": "take the private key out of it: only certificates and public keys are read",
    "name-certificate-source": (
        "give one of --self-signed, --cert-manager ISSUER, or --tls-secret NAME with --ca-bundle FILE"
    ),
    "name-relatively": "put it beside that file or below, and write its path relative to it",
    "use-smaller-files": "leave out what is not needed, text around certificates for example",
    "write-dns-name": "write lower-case letters, digits and -; a letter or digit begins and ends it",
    "write-issuer": "write issuer/NAME, clusterissuer/NAME or self-signed",
}
