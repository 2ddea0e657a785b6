#!/usr/bin/env bash
# Debian's docker-registry 2.8.2: content whose digest is sha512, which the image specification has beside sha256.
#
# Expected: a registry either takes sha512 or refuses it; what was pushed and asked for by one digest is named by it in
# Docker-Content-Digest, which a client compares.
# Seen: a blob is taken (201), and read by its sha512 (200), but the answers to the push, GET and HEAD name its sha256;
# the answer to a mount by sha512 names the sha512. A manifest that names such a blob is taken, a manifest under its own
# sha512 is refused: "provided digest did not match uploaded content", though it does. Once the blob was deleted by its
# sha512, it is still read by its sha256.
# So a client hashes what it reads by the algorithm it asked for, and does not compare the header as text.
set -euo pipefail
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT
cd "$work"
apt-get download -q docker-registry=2.8.2+ds1-1 >/dev/null
dpkg -x docker-registry_*.deb program
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'version: 0.1\nstorage: {delete: {enabled: true}, filesystem: {rootdirectory: %s}}\nhttp: {addr: 127.0.0.1:%s}\n' \
  "$work/data" "$port" >config.yml
program/usr/bin/docker-registry serve config.yml >log 2>&1 &
server=$!
cat >ask.py <<'PY'
import hashlib, json, sys, time, urllib.error, urllib.request

base = f"http://127.0.0.1:{sys.argv[1]}"
OCI = "application/vnd.oci.image.manifest.v1+json"


def send(method, url, body=None, kind="application/octet-stream"):
    headers = {"Accept": OCI} if body is None else {"Content-Type": kind}
    request = urllib.request.Request(url if url.startswith("http") else base + url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers["Docker-Content-Digest"], answer.headers["Location"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, None, None, error.read()


for _ in range(100):
    try:
        send("GET", "/v2/")
        break
    except OSError:
        time.sleep(0.1)
data = b"configuration"
short = "sha256:" + hashlib.sha256(data).hexdigest()
long = "sha512:" + hashlib.sha512(data).hexdigest()
upload = send("POST", "/v2/a/b/blobs/uploads/", b"")[2]
answers = {
    "PUT": send("PUT", f"{upload}&digest={long}", data),
    "GET": send("GET", f"/v2/a/b/blobs/{long}"),
    "HEAD": send("HEAD", f"/v2/a/b/blobs/{long}"),
    "mount": send("POST", f"/v2/c/d/blobs/uploads/?mount={long}&from=a/b", b""),
}
for name, (status, digest, *_) in answers.items():
    print(f"{name} of a blob by its sha512:", status, "named by", digest.partition(":")[0])
assert {name: answer[:2] for name, answer in answers.items()} == {
    "PUT": (201, short), "GET": (200, short), "HEAD": (200, short), "mount": (201, long)}
config = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(data), "digest": long}
manifest = json.dumps({"schemaVersion": 2, "mediaType": OCI, "config": config, "layers": []}).encode()
status = send("PUT", "/v2/a/b/manifests/tag", manifest, OCI)[0]
print("PUT of a manifest that names it:", status)
assert status == 201
status, *_, body = send("PUT", "/v2/a/b/manifests/sha512:" + hashlib.sha512(manifest).hexdigest(), manifest, OCI)
print("PUT of that manifest under its sha512:", status, json.loads(body)["errors"][0])
assert (status, json.loads(body)["errors"][0]["code"]) == (400, "DIGEST_INVALID")
status = send("DELETE", f"/v2/a/b/blobs/{long}")[0], send("GET", f"/v2/a/b/blobs/{long}")[0], send("GET", f"/v2/a/b/blobs/{short}")[0]
print("DELETE by the sha512, then GET by the sha512 and by the sha256:", *status)
assert status[0] == 202 and status[2] == 200
PY
python3 ask.py "$port"
