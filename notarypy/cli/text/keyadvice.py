"""What to do about keys: their files, which key, passphrases, roots and dates.

What it is: the part of the table of advice that is about them. What it is not: what leads to keys elsewhere
(`placeadvice`), or the rest of it (`advice`).
"""

from __future__ import annotations

import re
from shlex import quote

ADD_YOURS = "notarypy delegate add NAME {gun} --key PUB"
_LOAD = "notarypy key load FILE --name NAME, or notarypy key add URI --name NAME"
_SET_OWN = "give, in {variable} or with --passphrase-file FILE,"
_SET_NEW = "set NOTARYPY_NEW_PASSPHRASE or use --new-passphrase-file FILE"

# In what these begin with, FILE and KEY are the file that the error is about, where no option is before it.
_ABOUT_FILE = (
    "convert-",
    "decode-",
    "encrypt-",
    "give-certificate",
    "load-key",
    "restore-",
    "store-",
    "take-",
)
_FILE = re.compile(r"(?<![\w./$-])(?<!passphrase-file )(?:FILE|KEY)(?![\w.])")

TEXTS: dict[str, str] = {
    # -- keys in files
    "add-changed-key": (
        "look at what is there, then: notarypy key test KEY; "
        "if another key is meant to be there, note it: notarypy key add URI --name NAME"
    ),
    "add-elsewhere": "where it is wanted too, note it: notarypy key add URI --name NAME",
    "add-key-uri": "then note where it is: notarypy key add URI --name NAME",
    "add-pem-lines": "put -----BEGIN X----- and -----END X----- around it again, or export it again as PEM",
    "change-pin-there": "it has no passphrase here; a PIN is changed with the token's own tool",
    "convert-certificate": "convert it with: openssl x509 -inform {form} -in FILE -out NAME.crt",
    "convert-keystore": (
        "convert it with: keytool -importkeystore -srckeystore FILE -destkeystore KEY.p12 "
        "-deststoretype PKCS12; then take the key out with: openssl pkcs12 -nocerts -in KEY.p12 -out KEY.pem"
    ),
    "convert-openssh-public": "convert it with: ssh-keygen -e -m PKCS8 -f FILE > NAME.pub",
    "convert-pkcs1": "convert it with: openssl rsa -RSAPublicKey_in -inform {form} -in FILE -out NAME.pub",
    "convert-pkcs12": "take the key out of it with: openssl pkcs12 -nocerts -in FILE -out KEY.pem",
    "convert-pkcs7": "convert it with: openssl pkcs7 -inform {form} -in FILE -print_certs -out NAME.crt",
    "convert-private": "convert it with: openssl pkey -inform {form} -in KEY -out KEY.pem",
    "convert-public": "convert it with: openssl pkey -pubin -inform {form} -in FILE -out NAME.pub",
    "convert-putty": (
        "convert it with: puttygen KEY -O private-openssh -o KEY.pem; then ssh-keygen -p -m PEM -f KEY.pem"
    ),
    "convert-ssh2-public": (
        "convert it with: ssh-keygen -i -f FILE > KEY.pub; then ssh-keygen -e -m PKCS8 -f KEY.pub > NAME.pub"
    ),
    "convert-utf16": "convert it with: iconv -f UTF-16 -t UTF-8 FILE > KEY.pem",
    "decode-base64": "decode it with: base64 -d FILE > KEY.pem",
    "decrypt-first": "decrypt it first, with the tool that encrypted it",
    "encrypt-anew": "rewrite a copy of it with: openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out COPY",
    "encrypt-elsewhere": (
        "move it out of the trust directory, then store it encrypted from there: notarypy key load NEW-PLACE"
    ),
    "export-key-first": (
        "export it first: notarypy key export KEY -o FILE; then: notarypy key remove --force KEY"
    ),
    # -- backups
    "leave-key-out": "leave it out: it is in the backup all the same",
    "name-backup": "name a file that does not exist yet; or one that backup has written",
    "name-backed-up-key": "name a key that is in it; of one that is elsewhere the page says where it is",
    "name-trust-dir": "name the trust directory that has some with --trust-dir",
    "newer-for-backup": "a newer notarypy made it: install that, and restore it with it",
    "move-root-away": (
        "to trust that of the backup: mv {path} {path}.damaged; or take the keys alone: --keys-only"
    ),
    "restore-into": (
        "put it there: notarypy restore --trust-dir {folder} FILE; or leave the settings out: --no-settings"
    ),
    "restore-keys-only": (
        "keep what is here, and take the keys alone: notarypy restore --keys-only FILE; "
        "or put all of it into another directory: --trust-dir DIR"
    ),
    "restore-without-settings": "leave out the settings in it: notarypy restore --no-settings FILE",
    "take-other-backup": "take another copy of it, or an earlier backup: not one byte of this one is used",
    # -- key files
    "give-certificate": "give a PEM certificate; of DER: openssl x509 -inform DER -in FILE -out NAME.crt",
    "give-certificate-alone": "give a file with the certificate alone",
    "give-certified-key": "give the private key that belongs to the certificate",
    "give-exported": "import what notarypy key export or notary key export wrote",
    "give-key-option": "name the signer's public key or certificate with --key",
    "give-one-key": "give a file with one {role} key",
    "give-other-key": "give another key as the {role} key",
    "give-own-key": "give the file of a key of its own",
    "give-pem": "give a PEM file: a line of it says -----BEGIN",
    "give-private-half": "give the private half of the pair",
    "give-public-half": "give the public half, for example NAME.pub",
    "give-requested-key": "give the private key that the request was made with",
    "make-root-certificate": "have the holder of the key make one: notarypy key certify REPO -o FILE",
    "give-root-certificate": (
        "its subject is CN={gun}, and it is no authority; or leave it out: one is made then"
    ),
    "give-uri": (
        "write its URI, for example hashivault://NAME, awskms:///alias/NAME or 'pkcs11:token=T;object=O'"
    ),
    "give-whole-file": "give all of it, from the BEGIN line to the END line",
    "keep-file": "keep a copy of {file}; then: notarypy key remove --force KEY",
    "keep-uri": "note down {uri}, which leads to it again; then: notarypy key remove --force KEY",
    "leave-key-type": "leave the option out for ecdsa",
    "leave-out-certificate": "leave it out: one is made then",
    "load-again": (
        "put it back from a backup: notarypy restore FILE; or from a copy: notarypy key load FILE; or give "
        "it up: notarypy key remove {key}"
    ),
    "load-as": "give another one; or, if it is to be one: notarypy key load FILE --name {name}",
    "name-gun": "say of which repository it is, with --gun GUN",
    "load-exported": "load the file that notarypy key export or notary key export wrote",
    "load-key": "import it with: notarypy key load FILE",
    "make-key": "make a key of its own for signing: notarypy key generate NAME",
    "migrate-again": "once it is done, run it again: notarypy key migrate",
    "move-linked-keys": "they are read where they are; to have them here, put a folder in place of the link",
    "note-again": "note it again: notarypy key add URI --name NAME; or forget it: notarypy key remove {key}",
    "note-as": "if it is to be: notarypy key remove {key}; notarypy key add {uri} --name {name}",
    "note-uri": "note where it is: notarypy key add URI --name NAME",
    "split-file": "move the other keys into files of their own: notarypy key load FILE takes them in",
    "rename-key": "rename it to {actual}.key if it should be here at all",
    "rename-stored-key": "give it this name: notarypy key rename {key} {name}",
    "restore-escaped": """give it line ends again: awk '{{gsub(/\\\\n/,"\\n")}}1' FILE > KEY.pem""",
    "restore-line-ends": """write it with its line ends, for example: printf '%s\\n' "$KEY" > KEY.pem""",
    "rewrite-openssh": "rewrite a copy of it with: ssh-keygen -p -m PEM -f COPY",
    "store-as": (
        "if it is to be: notarypy key export {key} -o COPY; notarypy key remove {key}; "
        "notarypy key load COPY --name {name}"
    ),
    "set-cosign-password": "give it in COSIGN_PASSWORD, as to cosign",
    "give-cosign-uri": "cosign takes the URI of the key, as it is",
    "give-cosign-key": "give the public key, as `cosign generate-key-pair` writes cosign.pub",
    "store-anew": "store it anew: notarypy key load FILE",
    "store-key": "store it: notarypy key load FILE",
    "take-certified-key": "give its key alone: openssl x509 -in FILE -pubkey -noout > NAME.pub",
    "take-openssh-half": "give its public half: ssh-keygen -e -m PKCS8 -f KEY > NAME.pub",
    "take-pkcs12-certificate": (
        "take the certificate out of it with: openssl pkcs12 -clcerts -nokeys -in FILE -out NAME.crt"
    ),
    "take-public-half": "give its public half: openssl pkey -inform {form} -in KEY -pubout -out NAME.pub",
    "take-requested-key": "give its key: openssl req -inform {form} -in FILE -pubkey -noout > NAME.pub",
    "unpack-file": "unpack it, and give the file that is wanted",
    "use-cosign-key": "give an ECDSA key, or make one: notarypy key generate NAME",
    "use-key-kind": (
        "use an ECDSA key on P-224, P-256, P-384 or P-521, or an RSA key of 2048 to 8192 bits; "
        "to make one: openssl ecparam -name prime256v1 -genkey -noout -out KEY.pem"
    ),
    # -- which key
    "choose-root-key": "choose one: notarypy init --root-key KEY REPO",
    "hand-over-snapshot": (
        "let its owner publish; or hand it over, where the root key is:"
        " notarypy key rotate {gun} snapshot --server-managed"
    ),
    "import-role-keys": (
        "run this where they are; or with --offline-part FILE, which is signed there: "
        "notarypy sign --offline-part FILE; then: notarypy sign --join FILE"
    ),
    "import-root-key": "run this where it is, or take it over: notarypy key import FILE",
    "import-these-keys": "run this where these keys are, or take them over: notarypy key import FILE",
    "leave-out-pin": "leave it out; a PIN comes from pin-source, NOTARYPY_PASSPHRASE_NAME or a prompt",
    "list-keys": "see them with: notarypy key list",
    "load-accepted-key": f"load a key that may sign: {_LOAD}; or ask an owner to let yours: {ADD_YOURS}",
    "load-revoking-key": f"run this where one of these keys is, or load it: {_LOAD}",
    "load-base-key": f"ask an owner to do it, or load one of these keys: {_LOAD}",
    "load-role-key": f"load one of these keys: {_LOAD}; or ask an owner to add yours: {ADD_YOURS}",
    "write-more-digits": "write more digits of the id",
    # -- passphrases
    "choose-longer": "choose a longer one for {source}",
    "other-passphrase-now": "ask who changed it which passphrase it has now",
    "choose-other-passphrase": f"give another one: {_SET_NEW}",
    "give-file-passphrase": (
        "give the passphrase that the file has: set {variable} or use --passphrase-file FILE"
    ),
    "set-delegation-passphrase": (
        f"{_SET_OWN} the passphrase of this delegation key, not the repository key's"
    ),
    "set-new-passphrase": _SET_NEW,
    "set-or-unset": "set {variable}=1, or unset it",
    "set-passphrase": "set {variable} or use --passphrase-file FILE",
    "set-pin": (
        "set {variable}, write {name}=PIN into a --passphrase-file, or name a file with pin-source in the URI"
    ),
    "set-root-passphrase": f"{_SET_OWN} the passphrase of this root key, not the repository key's",
    "set-snapshot-passphrase": (
        f"{_SET_OWN} the passphrase this snapshot key was made with, not the root key's"
    ),
    "set-targets-passphrase": (
        f"{_SET_OWN} the passphrase this repository key was made with, not the root key's"
    ),
    "type-its-passphrase": "type the passphrase that this key was made with, or set {variable}",
    "unlock-keyring": "unlock it, or unset NOTARYPY_KEYRING",
    "use-keyring-elsewhere": (
        "run this where Secret Service, KWallet, the macOS keychain or the Windows vault is, "
        "or unset NOTARYPY_KEYRING"
    ),
    # -- what a server has of a repository, or lost
    "confirm-all": "if all of that is meant: --confirm '{gun}*'; else ask the server's operator",
    "confirm-deletion": "if it is meant: --confirm {gun}",
    "forget-or-remote": (
        "what is cached here alone: notarypy forget {gun}; "
        "what everybody reads: notarypy delete --remote {gun}"
    ),
    "sign-over": (
        "have whoever published it sign again, which makes a newer version; then sign here what is missing"
    ),
    "begin-anew": (
        "make it anew with the same root key: notarypy delete --remote {gun}, notarypy forget {gun}, then "
        "notarypy init {gun} with its signers, who sign again; readers: notarypy trust {gun} --root ROOT-PIN"
    ),
    "republish-over": (
        "look at it with a --trust-dir of its own; to publish over it, and to sign it again afterwards: "
        "notarypy republish --over {gun}"
    ),
    "republish-with-keys": (
        "have all of these root keys here, if only as URIs: notarypy key load; else it is made anew: "
        "notarypy delete --remote {gun}, notarypy forget {gun}, notarypy init {gun}"
    ),
    "republish-elsewhere": "do it on a machine that has read it, with the same trust directory as then",
    # -- roots and dates
    "lower-threshold": "name more keys, or a lower number with --threshold",
    "ask-owner-for-root": "ask the owner for the root id, then: notarypy trust {gun} --root ROOT-PIN",
    "check-clock": (
        "look at this machine's clock; then ask the operator of the Notary server, which renews it by itself"
    ),
    "compare-offered-root": "compare the root with the owner, then: notarypy trust {gun} --root {root}",
    "load-pinned-root": "load the root key that the pin names: notarypy key load FILE; or change the pin",
    "compare-pin": "compare this root id with the repository's owner before you change the pin",
    "forget": (
        "name the right server, if this one is of another registry; else ask the server's operator; "
        "only if you publish it, again, from what is known here: notarypy republish {gun}; "
        "to take it for a new one, whose root is to be compared then: notarypy forget {gun}"
    ),
    "forget-for-archive": "ask the owner for the id, to name it with --root after: notarypy forget {gun}",
    "give-whole-pin": "give the whole id, from its owner; that of the root trusted here: notarypy trust REPO",
    "pin-first-root": (
        "compare the root with the repository's owner, then: --root {root}; or trust it unseen: --first-use"
    ),
    "pin-first-root-by-policy": (
        "compare the root with the repository's owner, then pin it in a trust policy (--policy FILE): "
        'roots.ids = {pins} below [scope."{gun}"]; or trust it unseen: --first-use'
    ),
    "refresh": "refresh it",
    # -- trust archives
    "export-anew": "export it anew where its Notary server can be asked: notarypy export {gun} -o TAR",
    "export-apart": "export fewer repositories or images into each",
    "export-archive": "make one where the Notary server can be asked: notarypy export REPO... -o TAR",
    "export-newer": "take a newer archive; what is known here was not changed",
    "export-repository": "export it too: notarypy export {gun} -o TAR",
    "import-literally": "import it by itself: notarypy import --gun TAR {gun}",
    "name-archive": "name a file that does not exist yet: -o TAR",
    "see-above": "see what is said of each of them",
    "set-clock": "set this machine's clock",
    "unpack-archive": "unpack it first, with gzip -d or what has made it",
    "renew": "notarypy renew {gun}",
    "renew-role": "whoever has its key signs it again: notarypy renew --role {role} {gun}",
    "timestamp-renewed": "the Notary server renews it by itself; if it does not, ask its operator",
    "renew-root-certificate": "whoever has the root key makes another: notarypy renew {gun}",
    "replace-last-signer": (
        f"the last signer is gone; add one: {ADD_YOURS}; "
        "or have the targets key sign again: notarypy delegate remove {role} {gun}"
    ),
    "pin-or-remove": (
        "restore it from a backup; or ask the owner for the root pin, remove the file, and name the root: "
        "--root ROOT-PIN"
    ),
    "restore-or-forget": (
        "restore it from a backup; or compare the root with its owner, then notarypy forget {gun}"
    ),
    "rotate-root": (
        "a certificate without an authority, for the same key: notarypy key rotate {gun} root --key KEY"
    ),
    "rotate-signer": (
        "a signer's key: notarypy delegate add NAME REPO --key PUB, "
        "then notarypy delegate remove NAME REPO --key ID"
    ),
    "status-literally": "look at it by itself: notarypy status --gun {gun}",
    "write-shorter-span": "write a shorter one: {most} at the most",
    "write-span": 'write a number and s, m, h, d, w or y, for example "90s", "12h" or "10d"',
    "see-status": "see what there is: notarypy status {gun}",
    "sign-role-again": "whoever has its key signs it again: notarypy renew {gun}",
    # -- signers of a repository
    "force-or-sign-again": (
        "run this where the key of one of them is; or with --offline-part FILE, which one of them signs: "
        "notarypy sign --offline-part FILE; then: notarypy sign --join FILE; "
        "or add --force and have them sign again"
    ),
    "keep-or-revoke": (
        "--keep-tags if they are right, --revoke-tags if not or if nobody knows; --dry-run lists all of them"
    ),
    "list-delegation-keys": "see them with: notarypy delegate list {gun}",
    "list-delegations": "notarypy delegate list {gun}",
    "list-signers": "see them with: notarypy signer list {gun}",
    # -- signers whose keys cannot be used, or are gone
    "replace-unusable": (
        "its key cannot be used, and no renewing helps: notarypy signer remove {name} {gun}; "
        f"then, with another key: {ADD_YOURS}"
    ),
    "sign-anew-or-remove": (
        "renewing does not help: whoever has its keys signs it again, notarypy sign --discard-unverified "
        "REF..., or who may take it out does: notarypy delegate remove {role} {gun}"
    ),
    "replace-before": (
        f"add another signer first, whose key is here or who signs its tags again: {ADD_YOURS}; "
        "or give its tags up: --revoke-tags, or notarypy delegate remove --force targets/releases {gun}"
    ),
}


def naming(name: str, text: str, file: str) -> str:
    """Return a text of this name with the file that it is about, as a shell takes it, in the commands."""
    if name not in TEXTS or not name.startswith(_ABOUT_FILE) or file == "-":
        return text
    shown = quote(f"./{file}" if file.startswith("-") else file)
    return _FILE.sub(lambda _: shown, text)
