#!/usr/bin/env bash
# notary 0.7.0 of Debian 12: a key that `key generate -o` writes for another machine, and `key import` there.
#
# Expected: what one command of a program writes for later use another command of it takes.
# Seen: "invalid key pem block", whichever role is named: `key import` takes encrypted keys with a header `path:` alone,
# which only `key export` writes. With that header the same file is imported.
# So such a key gets the header by hand, with the key's id, before it is imported.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq -o APT::Sandbox::User=root notary=0.7.0+ds1-2+b6
dpkg-deb -x notary_*.deb tree
PATH=$work/tree/usr/bin:$PATH
export NOTARY_{ROOT,TARGETS,SNAPSHOT,DELEGATION}_PASSPHRASE=passphrase
as() { notary -d trust "$@"; }
as key generate ecdsa --role signer -o made
ls made*
if as key import made-key.pem --role signer >said 2>&1; then cat said; exit 1; fi
cat said
grep -q 'invalid key pem block' said
as key list | grep -qx 'No signing keys found.'
id=$(sed '/-----/d; /:/d' made.pem | base64 -d | sha256sum | cut -d ' ' -f 1)
awk -v id="$id" '{print} /^-----BEGIN/ {print "path: " id}' made-key.pem >named-key.pem
as key import named-key.pem --role signer
as key list | tee listed
grep -q "$id" listed
