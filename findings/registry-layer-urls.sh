#!/usr/bin/env bash
# Debian's docker-registry 2.8.2 with the settings it comes with: a layer whose descriptor has `urls`.
#
# Expected: the image specification lets any descriptor say where else its content can be had; the registry has the
# blob, so it takes the manifest, or refuses the field with a 4xx that names it.
# Seen: 500, with the errors UNKNOWN, UNKNOWN and MANIFEST_BLOB_UNKNOWN, the last with the digest of a blob that a HEAD
# finds. Neither the field nor the setting is named. Without the field, or with an empty list, the same manifest is taken;
# with `validation: {manifests: {urls: {allow: ['^https://']}}}` it is, too.
# So whoever pushes such images does not try again after that 500, and does not look for a blob that is missing.
set -euo pipefail
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT
cd "$work"
apt-get download -q docker-registry=2.8.2+ds1-1 >/dev/null
dpkg -x docker-registry_*.deb program
cat >ask.py <<'PY'
import hashlib, json, sys, time, urllib.error, urllib.request

base = f"http://127.0.0.1:{sys.argv[1]}"
OCI = "application/vnd.oci.image.manifest.v1+json"


def send(method, url, body=None, kind="application/octet-stream"):
    headers = {} if body is None else {"Content-Type": kind}
    request = urllib.request.Request(url if url.startswith("http") else base + url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers["Location"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, None, error.read()


def put(urls):
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": len(data), "digest": digest}
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(data), "digest": digest}
    layer |= {} if urls is None else {"urls": urls}
    manifest = {"schemaVersion": 2, "mediaType": OCI, "config": config, "layers": [layer]}
    status, _, body = send("PUT", "/v2/a/b/manifests/tag", json.dumps(manifest).encode(), OCI)
    codes = [error["code"] for error in json.loads(body)["errors"]] if body else []
    print("urls:", urls, "->", status, *codes)
    return status, codes


for _ in range(100):
    try:
        send("GET", "/v2/")
        break
    except OSError:
        time.sleep(0.1)
data = b"content"
digest = "sha256:" + hashlib.sha256(data).hexdigest()
assert send("PUT", f"{send('POST', '/v2/a/b/blobs/uploads/', b'')[1]}&digest={digest}", data)[0] == 201
assert send("HEAD", f"/v2/a/b/blobs/{digest}")[0] == 200
assert put(None) == put([]) == (201, [])
refused = (500, ["UNKNOWN", "UNKNOWN", "MANIFEST_BLOB_UNKNOWN"])
assert put(["https://example.com/layer"]) == ((201, []) if sys.argv[2] == "allowed" else refused)
PY
for rule in usual allowed; do
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: 127.0.0.1:%s}\n' \
    "$work/$rule" "$port" >config.yml
  test $rule = usual || printf "validation: {manifests: {urls: {allow: ['^https://']}}}\n" >>config.yml
  program/usr/bin/docker-registry serve config.yml >log 2>&1 &
  server=$!
  echo "settings: $rule"
  python3 ask.py "$port" $rule
  kill "$server"
  server=
done
