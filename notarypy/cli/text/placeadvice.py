"""What to do about keys that are elsewhere: on tokens, in services, and what leads to them.

What it is: the part of the table of advice that is about them. What it is not: keys in files
(`keyadvice`), or the rest of it (`advice`).
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

# What can be added depends on how this program is there: as a single file, without pip in an image, or else.
_ANEW = "from a checkout of notarypy: pipx install --force '.[{extra}]'"
if "notarypy_single_file" in sys.modules:
    _EXTRA = f"the single file has no extras; {_ANEW}"
elif find_spec("pip") is None:
    _EXTRA = f"{_ANEW}, or uv tool install --force '.[{{extra}}]'; an image needs one that is built with it"
else:
    _EXTRA = f"{_ANEW}; or in the environment that it is in: python3 -m pip install '.[{{extra}}]'"

TEXTS: dict[str, str] = {
    # -- what leads to keys elsewhere
    "ask-backend": "ask whoever makes this package: it is to raise what notarypy.errors has",
    "say": "{text}",
    "install-backend": "write one of these, or install the package that has it",
    "install-backend-anew": "install the package that has it anew, or ask whoever makes it",
    "install-extra": _EXTRA,
    "install-keyring": f"{_EXTRA.format(extra='keyring')}; or unset NOTARYPY_KEYRING",
    "remove-backend": "remove the packages that are not meant: python3 -m pip uninstall NAME",
    # -- keys in services
    "allow-azure-key": (
        "allow it: az role assignment create --role 'Key Vault Crypto User' --assignee WHO --scope VAULT_ID; "
        "in a vault with access policies: az keyvault set-policy --name VAULT --object-id WHO "
        "--key-permissions get sign"
    ),
    "allow-azure-network": "run this where the vault's firewall lets requests in, or let them in there",
    "allow-gcp-key": (
        "allow it: gcloud kms keys add-iam-policy-binding KEY --keyring=RING --location=LOCATION "
        "--member=WHO --role=roles/cloudkms.signer; and the same with roles/cloudkms.publicKeyViewer"
    ),
    "enable-key": "let it sign again where it is; or note another one: notarypy key add URI --name NAME",
    "log-in-azure": "log in: az login; or set AZURE_TENANT_ID, AZURE_CLIENT_ID and what proves who you are",
    "log-in-gcp": (
        "log in: gcloud auth application-default login; "
        "or name a file of credentials in GOOGLE_APPLICATION_CREDENTIALS"
    ),
    "make-azure-key": (
        "make one there: az keyvault key create --vault-name VAULT --name KEY --kty EC --curve P-256 "
        "--ops sign verify; then note it: notarypy key add URI --name NAME"
    ),
    "make-gcp-key": (
        "make one there: gcloud kms keys create KEY --keyring=RING --location=LOCATION "
        "--purpose=asymmetric-signing --default-algorithm=ec-sign-p256-sha256; then note it: "
        "notarypy key add URI --name NAME"
    ),
    "make-gcp-cosign-key": (
        "make one there, ECDSA for Notary and cosign alike: gcloud kms keys create KEY --keyring=RING "
        "--location=LOCATION --purpose=asymmetric-signing --default-algorithm=ec-sign-p256-sha256; "
        "of RSA keys cosign takes rsa-sign-pkcs1-3072-sha256"
    ),
    "correct-credentials": "correct that file or variable; or unset it, and log in",
    "name-proxy": "write it as http://HOST:PORT, or unset it",
    "name-authorities": "name a PEM file with the certificates of the authorities, or unset it",
    "write-azure-uri": (
        "write azurekms://VAULT.vault.azure.net/KEY; another cloud's vaults take its AZURE_AUTHORITY_HOST"
    ),
    "write-gcp-uri": "look at what it is called: gcloud kms keys list --keyring=RING --location=LOCATION",
    # -- keys in AWS KMS
    "allow-aws-key": "have {right} allowed on this key, in an IAM policy or in the key's own policy",
    "describe-aws-key": "look at its state: aws kms describe-key --key-id KEY",
    "enable-aws-key": "enable it: aws kms enable-key --key-id KEY",
    "get-aws-session": (
        'ask for it yourself, and hand over what you get: eval "$(aws configure export-credentials '
        '--profile NAME --format env)", then unset AWS_PROFILE'
    ),
    "give-aws-credentials": (
        "set AWS_PROFILE, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, "
        "or run this where a role gives some; see whose they are: aws sts get-caller-identity"
    ),
    "log-in-to-aws": (
        "get new ones: aws sso login, or aws login, with --profile if you use one; "
        "those in variables, from wherever they came"
    ),
    "look-at-aws-ca": (
        "look at what answers there; a CA of your own is named by AWS_CA_BUNDLE; "
        "what speaks plain http on this machine is named by AWS_ENDPOINT_URL, not in the URI"
    ),
    "look-for-aws-key": (
        "look at account, region and spelling: aws kms describe-key --key-id KEY; "
        "an id and an alias are looked for in the region of AWS_REGION or of the profile"
    ),
    "make-aws-key": (
        "make another: notarypy key generate NAME --in awskms:///alias/NAME, "
        "or aws kms create-key --key-usage SIGN_VERIFY --key-spec ECC_NIST_P256"
    ),
    "name-aws-alias": "name an alias that is free, for example awskms:///alias/NAME",
    "name-aws-profile": "see those that there are: aws configure list-profiles; or unset AWS_PROFILE",
    "set-aws-region": "set AWS_REGION, or name the key by its ARN, which says the region",
    "set-clock": "set this machine's clock",
    "use-aws-https": "write https:// there, or unset it",
    # -- keys in Vault and OpenBao
    "add-vault-key": (
        "to use it: notarypy key add hashivault://{key} --name NAME; to make one, choose another name"
    ),
    "add-vault-version": "note the newest one, another key: notarypy key add hashivault://{key} --name NAME",
    "allow-vault-version": (
        "have an operator lower that: bao write {path}/config {settings}; "
        "or add the newest version as a new key"
    ),
    "get-vault-right": (
        "look at the token with: bao token lookup; it takes a policy with "
        'path "{path}" {{ capabilities = ["{right}"] }}'
    ),
    "log-in-to-vault": "log in with: bao login, or vault login; or set {variable}",
    "look-at-vault-version": (
        "have an operator see which numbers are above {version}: bao read {path}; then lower these: "
        "bao write {path}/config min_decryption_version={version} min_encryption_version={version}; what is "
        "below min_available_version is gone: notarypy key add hashivault://{key} --name NAME"
    ),
    "look-at-vault": "see whether a Vault or OpenBao server answers there, and no proxy or page to log in",
    "make-vault-key": "make one that can: bao write -f transit/keys/KEY type=ecdsa-p256, or rsa-3072",
    "name-active-vault": "have {variable} name the active server, or what stands before all of them",
    "name-vault": "write the address of the server: {variable}=https://vault.example.com:8200",
    "name-vault-mount": "look at the name; if the engine is not at transit, set TRANSIT_SECRET_ENGINE_PATH",
    "restore-vault-key": "have an operator restore it: bao write -f {path}/soft-delete-restore",
    "set-vault-address": "set VAULT_ADDR=https://vault.example.com:8200, or BAO_ADDR",
    "set-vault-ca": "name the CA certificate of this server: {variable}=FILE",
    "set-vault-certificate": "name a client certificate and its key: {cert}=FILE {key}=FILE",
    "unseal-vault": "have the operators of {host} unseal it, then try again",
    "write-vault-uri": "the path of the engine, if it is not transit, goes into TRANSIT_SECRET_ENGINE_PATH",
    # -- keys on tokens
    "allow-module": "if it is yours and what you meant: set PKCS11_MODULE_PATH={path}",
    "check-device": "look whether it is plugged in, and whether its service runs; smart cards need pcscd",
    "check-module": (
        "look whether it is a PKCS#11 module for this machine, and whether what it needs is set up and runs"
    ),
    "check-pin": "be sure of the PIN before you try again: a few wrong ones lock the token",
    "guard-module": (
        "see that it and all folders above are yours or root's, and others cannot write there: chmod go-w"
    ),
    "bring-back-key": "put it back on the token from a backup, or give its role another key",
    "name-moved-module": "note the key anew, with where the module is now: notarypy key add URI",
    "part-twins": "add ;object=LABEL to the URI, or give one another id or label with the token's own tool",
    "name-key-id": "name one key: id=%01 in the URI is the id that is one byte, 01",
    "name-module": "name the module in the URI, ?module-path=/PATH/OF/MODULE.so, or in PKCS11_MODULE_PATH",
    "name-serial": "add ;serial=SERIAL to the URI",
    "plug-token": "plug it in, or name a token that is there, or another module",
    "take-or-rename": "note that one: notarypy key add URI; or give the new one another object and id",
    "touch-token": "where it blinks, touch it, once for each signature; else plug it in anew and try again",
    "unlock-token": "set or unlock the PIN with the token's own tool",
    "use-token-key": (
        "use a key that is for signing, on a token that does this: "
        "ECDSA on P-256, P-384 or P-521, or RSA of 2048 bits or more"
    ),
    "write-pkcs11-uri": (
        "write for example: pkcs11:token=LABEL;object=NAME?module-path=/usr/lib/softhsm/libsofthsm2.so"
    ),
    "write-public-half": (
        "put it beside it: pkcs11-tool --write-object FILE --type pubkey, with the same --id and --label"
    ),
}
# For errors that bring no advice of their own.
OF_CODE = {
    "auth.key_denied": "ask whoever keeps the key for the right to sign with it",
    "key.disabled": "ask whoever keeps the key; another one is noted with: notarypy key add URI --name NAME",
    "key.pin_locked": TEXTS["unlock-token"],
    "key.pin_wrong": TEXTS["check-pin"],
}
