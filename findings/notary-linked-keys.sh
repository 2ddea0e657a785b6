#!/usr/bin/env bash
# notary 0.7.0 of Debian 12: files of keys that are symbolic links, as Kubernetes mounts secrets, and as keys are kept on
# a disk that is not always there.
#
# Expected: what can be read is used: a link to a key is that key.
# Seen: `key list` says "No signing keys found." beside three links to good keys, exit code 0, and nothing can be signed;
# that a link was passed over is said nowhere. In a trust directory of Notary 0.3 (keys of roots in a folder of their
# own) the first command moves the keys that are files to today's place and removes the folder, the link in it with it.
# So keys from a mounted secret are copied, and links are replaced by files before a newer client is run.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq -o APT::Sandbox::User=root notary=0.7.0+ds1-2+b6
dpkg-deb -x notary_*.deb tree
PATH=$work/tree/usr/bin:$PATH
export NOTARY_{ROOT,TARGETS,SNAPSHOT,DELEGATION}_PASSPHRASE=passphrase
for name in one two three; do
  openssl ecparam -name prime256v1 -genkey -noout -out "$name.pem"
  notary -d made key import "$name.pem" --role root
done
notary -d made key list
mapfile -t ids < <(ls made/private)
mkdir -p linked/private
for id in "${ids[@]}"; do ln -s "$work/made/private/$id" "linked/private/$id"; done
notary -d linked key list | tee listed
grep -qx 'No signing keys found.' listed
mkdir -p old/private/root_keys
cp "made/private/${ids[0]}" old/private/root_keys/
ln -s "$work/made/private/${ids[1]}" old/private/root_keys/
notary -d old key list | tee listed
grep -q "${ids[0]%.key}" listed
test "$(find old -not -type d | wc -l)" = 1
