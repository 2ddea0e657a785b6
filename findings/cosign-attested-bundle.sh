#!/usr/bin/env bash
# Debian 13's cosign 2.5.0: `attest --new-bundle-format`, at a registry without the referrers API.
#
# Expected: the bundle, of version 0.3, holds an in-toto statement of version 1, as the bundle's specification and later
# releases of cosign have it; the list of referrers at the tag sha256-HEX has the type of the manifest that it lists.
# Seen: the statement is of version 0.1, and the entry's artifactType is that of the empty configuration, though the
# manifest has the bundle's.
# So a reader must take both versions, and must not choose among referrers by the types of entries.
set -euo pipefail
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT
cd "$work"
host=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
  sed -n 's/^\(bookworm\|trixie\) //p' | head -n 1)
mkdir -p lists/partial cache/archives/partial
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $host trixie main" >sources.list
newer=(-o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
  -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
apt-get update -qq "${newer[@]}"
apt-get download -q "${newer[@]}" cosign=2.5.0-2+b5 >/dev/null
apt-get download -q docker-registry >/dev/null
for package in *.deb; do dpkg -x "$package" program; done
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: 127.0.0.1:%s}\n' \
  "$work/data" "$port" >config.yml
program/usr/bin/docker-registry serve config.yml >log 2>&1 &
server=$!
cat >image.py <<'PY'
import base64, hashlib, json, sys, time, urllib.request

base = f"http://127.0.0.1:{sys.argv[1]}"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def send(method, url, body=None, **headers):
    url = url if url.startswith("http") else base + url
    request = urllib.request.Request(url, body, {k.replace("_", "-"): v for k, v in headers.items()}, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.headers, answer.read()


def push():
    place = send("POST", "/v2/app/blobs/uploads/")[0]["Location"]
    digest = "sha256:" + hashlib.sha256(b"{}").hexdigest()
    send("PUT", f"{place}&digest={digest}", b"{}", Content_Type="application/octet-stream")
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": digest}
    image = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}).encode()
    send("PUT", "/v2/app/manifests/1", image, Content_Type=MANIFEST)
    print("sha256:" + hashlib.sha256(image).hexdigest())


def look(digest):
    listed = json.loads(send("GET", f"/v2/app/manifests/{digest.replace(':', '-')}", Accept=INDEX)[1])
    (entry,) = listed["manifests"]
    manifest = json.loads(send("GET", f"/v2/app/manifests/{entry['digest']}", Accept=MANIFEST)[1])
    print("artifactType of the entry:", entry["artifactType"])
    print("artifactType of the manifest:", manifest["artifactType"])
    assert entry["artifactType"] == "application/vnd.oci.empty.v1+json"
    assert manifest["artifactType"] == BUNDLE
    bundle = json.loads(send("GET", f"/v2/app/blobs/{manifest['layers'][0]['digest']}")[1])
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    print("bundle:", bundle["mediaType"], "statement:", statement["_type"])
    assert (bundle["mediaType"], statement["_type"]) == (BUNDLE, "https://in-toto.io/Statement/v0.1")


for _ in range(100):
    try:
        send("GET", "/v2/")
        break
    except OSError:
        time.sleep(0.1)
push() if len(sys.argv) == 2 else look(sys.argv[2])
PY
digest=$(python3 image.py "$port")
export COSIGN_PASSWORD=x HOME=$work
echo '{}' >predicate.json
program/usr/bin/cosign generate-key-pair 2>/dev/null
program/usr/bin/cosign attest --new-bundle-format --key cosign.key --tlog-upload=false --allow-http-registry --yes \
  --type https://example.com/predicate --predicate predicate.json "localhost:$port/app@$digest" 2>/dev/null
python3 image.py "$port" "$digest"
