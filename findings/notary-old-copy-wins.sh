#!/usr/bin/env bash
# notary 0.7.0 of Debian 12: a key that is in today's place and in the folder where Notary before 0.4 kept it, as when
# somebody puts an old copy of root_keys back.
#
# Expected: the key that is used today stays as it is, or the command says that there are two.
# Seen: whatever command comes next, `key list` for one, writes the old copy over the newer file and removes the folder:
# a passphrase that was changed since is the old one again, and where the two files differ in more than that the newer one
# is gone. Nothing is said, exit code 0. A file there that is no key, or of a key that nobody can decode, is removed with it.
# So what is put back goes through `key import`, or is renamed to the way it is called today.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq -o APT::Sandbox::User=root notary=0.7.0+ds1-2+b6
dpkg-deb -x notary_*.deb tree
PATH=$work/tree/usr/bin:$PATH
openssl ecparam -name prime256v1 -genkey -noout -out key.pem
for passphrase in earlier today; do
  NOTARY_ROOT_PASSPHRASE=the-passphrase-of-$passphrase notary -d "$passphrase" key import key.pem --role root
done
file=$(basename today/private/*.key)
mkdir today/private/root_keys
cp "earlier/private/$file" "today/private/root_keys/${file%.key}_root.key"
echo "half a key" >"today/private/root_keys/${file//[0-9a-f]/a}"
cmp "earlier/private/$file" "today/private/$file" && exit 1
notary -d today key list
cmp "earlier/private/$file" "today/private/$file"
test "$(find today -type f | wc -l)" = 1
