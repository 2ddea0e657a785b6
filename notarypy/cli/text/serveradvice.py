"""What to do about servers: Notary servers, registries, logins, docker daemons, a verification service.

What it is: the part of the table of advice that is about them. What it is not: the rest of it (`advice`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from notarypy.errors import NotarypyError

_PUSH_YOURSELF = "push the image yourself, with docker or skopeo, and then sign it without --local"

TEXTS: dict[str, str] = {
    # -- servers, registries and TLS
    "ask-about-manifest": "ask the operator of {host}: the registry has the blobs and refuses the manifest",
    "ask-about-redirects": "ask the operator of {host} where its redirects should lead",
    "ask-about-upload": "ask the operator of {host}: the registry, or a proxy before it, breaks off uploads",
    "allow-urls": (
        "ask the operator of {host} to allow them (docker's registry: validation.manifests.urls.allow in its "
        "configuration), or push an image whose layers name none"
    ),
    "ask-registry": "ask the operator of the registry",
    "check-ca-file": "see whether {file} has the CA of this server",
    "ask-about-page": (
        "this is probably a proxy, a firewall or a page to log in, and nothing to give a password to: "
        "look at the address of {host}, and ask who runs the network"
    ),
    "write-https": "correct {source}: if it speaks TLS there, write {url}",
    "leave-query-out": "leave out ? or #, and what follows it",
    "correct-registry": "give the registry's name and port, and a password to nobody else",
    "correct-notary": "correct {source}: the address of the Notary server, or its name and port alone",
    "copy-ca": "copy the CA certificate of this server to {file}",
    "copy-ca-or-name-it": "copy the CA certificate of this server to {file}, or name it: --tlscacert",
    "distrust-registry": "do not use this registry, and ask its operator",
    "give-ca": "add the CA certificate of this server",
    "give-ca-file": "give a readable PEM file, or remove it",
    "give-certificate-and-key": "give both, or neither",
    "give-client-certificate": "name a client certificate and its key",
    "give-client-pair": "give a readable PEM certificate and the unencrypted PEM key that belongs to it",
    "give-readable-folder": "make {folder} a directory that you may read, or remove it",
    "give-time": "give it more time: --timeout TIME",
    "go-online": "run the command once without --offline",
    "look-at-source": "look whether something else is writing to the source, or damaged it",
    "make-ecr-repository": "make it at {host} first: aws ecr create-repository --repository-name {path}",
    "make-repository": "make the repository {path} at {host} first, or look at its name",
    "name-notary": (
        "name the Notary server: --server URL, DOCKER_CONTENT_TRUST_SERVER=URL, "
        'or server = "URL" below [registry."{registry}"] in the configuration file'
    ),
    "first-or": "{first}; or, if this is it: {other}",
    "push-first": "push the image first; or look at the name and the tag",
    "push-once-more": "somebody else may have pushed the same tag: look, and push again",
    "push-other-tag": (
        "push it under another tag, or have the operator of {host} allow that {tag} is replaced: "
        "tags can be immutable or protected there"
    ),
    "name-ca": "name the CA certificate of this server: --tlscacert FILE",
    "name-client-pair": "name the client certificate and its key: --tlscert, --tlskey",
    "put-client-pair": "put X.cert and X.key into {folder}",
    "put-client-pair-or-name-it": ("put X.cert and X.key into {folder}, or name them: --tlscert, --tlskey"),
    "put-counterpart": "put {missing} there, or remove {present}",
    "raise-body-limit": (
        "have the operator of {host} raise the body size limit of it or of the proxy before it "
        "(nginx: client_max_body_size)"
    ),
    "renew-certificate": "renew it, or check this machine's clock",
    "send-again": "try again; if it stays so, something on the way changes what is sent",
    "use-accepted-certificate": "use a certificate of an authority that it trusts",
    "use-certified-name": "use the name that the certificate is for",
    # -- logins
    "check-password": "check user and password",
    "docker-login": "log in with: docker login {host}",
    "get-azure-role": (
        "give this identity the role for it (AcrPull to read, AcrPush to push, AcrImageSigner beside it to "
        "sign, which neither the admin user nor a token of the registry can have), and log in again: a login "
        "has the rights of the moment when it was made"
    ),
    "get-right": "give this account the right to do that",
    "install-helper": "install {program}, or take it out of {config}",
    "give-password-stdin": "give --username USER --password-stdin",
    "log-in": "log in: notarypy login {host}",
    "log-in-again": "log in again, what the last login left is not taken any more: notarypy login {host}",
    "log-in-azure-registry-again": (
        "log in again, such a login ends after three hours: notarypy login {host} --azure, or az acr login"
    ),
    "log-in-azure-registry": "log in: notarypy login {host} --azure; or, as anybody else, with --username",
    "log-in-by-password": "log in with a password, or an access token in its place: notarypy login {host}",
    "look-at-helper": "see whether {program} is unlocked and works: echo {server} | {program} get",
    "mend-login": "mend {source}, or log in again",
    "name-azure-registry": "name it as Azure does, NAME.azurecr.io; or log in with --username",
    "name-helper": "write what follows docker-credential- in the program's name into {config}",
    "run-helper": "see what it says to: echo {server} | {program} get",
    # -- a docker daemon, and the words of docker trust
    "choose-context": f"set DOCKER_HOST, or choose another context; or {_PUSH_YOURSELF}",
    "docker-add-signer": "{program} signer add --key FILE NAME {repository}",
    "docker-login-or-signer": (
        "docker login {registry}; or name one: {program} signer add --key FILE NAME {repository}"
    ),
    "docker-sign-local": "push that image and sign it: {program} sign --local {image}",
    "get-socket-right": f"ask for the right to use that socket; or {_PUSH_YOURSELF}",
    "push-yourself": _PUSH_YOURSELF,
    "start-daemon": f"start it, or set DOCKER_HOST; or {_PUSH_YOURSELF}",
    "tag-image": "build it, or give it this name: docker tag IMAGE {name}",
    # -- the devserver
    "choose-devserver-folder": "stop it, or name another folder with --dir",
    "choose-empty-folder": "name a new or an empty folder with --dir",
    "choose-free-port": "name a free port with --port and --registry-port, or stop what uses this one",
    "choose-high-ports": "name ports above 1023 with --port and --registry-port",
    "choose-host": "give --host a name or an address of this machine",
    "choose-host-or-none": "give --host a name or an address of this machine, or leave it out",
    "choose-two-ports": "give --port and --registry-port different ones",
    # -- the webhook of a cluster
    "review-version": 'write admissionReviewVersions: ["v1"] into the webhook configuration',
    "webhook-rules": "leave it out of the rules of the webhook configuration",
    # -- the service and its policy
    "ask-service-later": "ask again in a moment; look for a server that hangs, or run more replicas",
    "check-tls-pair": (
        "give two PEM files that belong together, a certificate with its chain and a key without passphrase; "
        "and one of certificates, if clients are to show theirs"
    ),
    "choose-free-place": "name a free port or path, or stop what listens there",
    "choose-listen-address": "name an address of this machine; no address, as in :8443, is all of them",
    "choose-listen-place": "name a path in a directory that may be written, or a port above 1023",
    "choose-shorter-path": "name a shorter path: a system takes about a hundred bytes",
    "give-service-policy": "write one, with the root pins of each scope, and name it with --policy FILE",
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
    "name-otherwise": "give that file another name",
    "name-relatively": "put it beside that file or below, and write its path relative to it",
    "use-smaller-files": "leave out what is not needed, text around certificates for example",
    "write-dns-name": "write lower-case letters, digits and -; a letter or digit begins and ends it",
    "write-issuer": "write issuer/NAME, clusterissuer/NAME or self-signed",
    # -- how it is started
    "give-socket-mode": "give octal digits that let the owner read and write: 0600, 0660",
    "give-time-within": "give a number and a unit within these bounds: 0.5s, 5s, 2m, 1h",
    "serve-tls": "add --tls-cert and --tls-key; or listen on 127.0.0.1 or unix:PATH",
    "write-listen": "write ADDR:PORT, as 127.0.0.1:8080, [::1]:8080 or :8443, or unix:PATH",
    # -- who asks it
    "ask-again": "ask again: what it finds out meanwhile is kept",
    "move-service-socket": (
        "have it listen in a folder to which only root, you and the service's account can write, "
        "and name it there, without links of others"
    ),
    "name-service": "name it, NOTARYPY_SERVICE=unix:/run/notarypy/notarypy.sock; or leave --service-only out",
    "same-release": "look what listens there; the service and this program have to be of releases that fit",
    "write-service": "set {variable}=unix:/run/notarypy/notarypy.sock, or where its socket is; or unset it",
    "start-service": "start it, and see whether {variable} names its socket and who may connect",
}


def at_admission(own: Callable[[NotarypyError], str]) -> Callable[[NotarypyError], str]:
    """Return the words for somebody whose object a cluster refuses: neither service nor policy are his.

    `own` are those that an error brings.
    """

    def said(error: NotarypyError) -> str:
        code = error.exit_code
        usual = _OF_SERVICE.get(code) or own(error) or _OF_EXIT_CODE.get(code, "")
        return _OF_CODE.get(error.code, usual)

    return said


# For whoever is refused something in a cluster, in place of an error's own advice.
_OF_CODE = {
    "policy.no_scope": "see whether the name is right; or ask whoever runs the cluster for a scope",
    "trust.digest_mismatch": "name the signed digest; or have its owner sign the other one",
    "trust.repo_missing": "see whether the name is right; or have its owner sign it",
    "trust.root_changed": "tell whoever runs the cluster: it is an attack, or the policy's pins are old",
    "trust.root_not_pinned": "tell whoever runs the cluster: it is an attack, or the policy's pins are old",
}
# The service's way to servers is not theirs either.
_OF_SERVICE = {
    7: "tell whoever runs the cluster: the service has no login that may read this",
    8: "try again; if it stays so, tell whoever runs the cluster",
}
# And where an error has none.
_OF_EXIT_CODE = {
    4: "do not use it, and tell the owner of the repository",
    5: "ask the owner of the repository to sign it again",
    10: "ask the missing signer or the owner of the repository",
}
