#!/usr/bin/env bash
# notary 0.7.0 of Debian 12: a root that is replaced in time, and a reader who comes back after the old one's end.
#
# Expected: the reader has the old root in its cache, which vouches for the new one: it follows, as its own code says
# of the roots before ("the previous root may have expired"). Chains of roots are there for this.
# Seen: "could not validate the path to a trusted root: unable to retrieve valid leaf certificates", always, until the
# cached trust data is removed. A reader without a cache reads. docker says "no signatures or cannot access".
# So a root has to be replaced so long before its end that every reader reads in between.
set -euo pipefail
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq -o APT::Sandbox::User=root notary=0.7.0+ds1-2+b6 libfaketime
for package in *.deb; do dpkg-deb -x "$package" tree; done
PATH=$work/tree/usr/bin:$PATH
export NOTARY_{ROOT,TARGETS,SNAPSHOT,DELEGATION}_PASSPHRASE=passphrase
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -keyout tls.key -out tls.crt -days 2 2>/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >server.json <<JSON
{"server": {"http_addr": "127.0.0.1:$port", "tls_cert_file": "tls.crt", "tls_key_file": "tls.key"},
 "trust_service": {"type": "local"}, "logging": {"level": "error"}, "storage": {"backend": "memory"}}
JSON
notary-server -config server.json >log 2>&1 &
server=$!
as() { # WHO COMMAND...
  local who=$1
  shift
  notary -s "https://localhost:$port" --tlscacert tls.crt -d "$who" "$@"
}
until curl -s --cacert tls.crt "https://localhost:$port/v2/" >/dev/null; do sleep 0.1; done
# A root certificate that ends in twenty seconds: it was made a day ago, but for these, and for one day.
openssl ecparam -name prime256v1 -genkey -noout -out root.key
gun=registry.example.com/app
LD_PRELOAD=$(echo "$work"/tree/usr/lib/*/faketime/libfaketime.so.1) FAKETIME=-86380s \
  openssl req -x509 -key root.key -subj "/CN=${gun//\//\\/}" -addext extendedKeyUsage=codeSigning -addext basicConstraints=critical,CA:false \
  -addext keyUsage=critical,digitalSignature -days 1 -out root.crt
as owner key import root.key --role root
as owner init "$gun" --rootcert root.crt --rootkey "$(echo owner/private/*.key)" -p
as reader list "$gun"
echo yes | as owner key rotate "$gun" root
sleep 25
as newcomer list "$gun"
if as reader list "$gun" >said 2>&1; then cat said; exit 1; fi
cat said
grep -q 'could not validate the path to a trusted root: unable to retrieve valid leaf certificates' said
rm -r reader/tuf
as reader list "$gun"
