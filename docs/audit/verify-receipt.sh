#!/bin/sh
# Verifies the receipt of an event with openssl and no code of Keyledger. docs/audit.md says how to run it.
#
#   sh verify-receipt.sh RECEIPT VKEY
#
# Writes the event to standard output if the receipt proves it.
set -eu
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT
cp "$1" "$parts/receipt"
vkey=$2
# Hashes, keys and signatures are bytes, which a variable cannot hold: they are in files.
cd "$parts"

fail() {
  echo "NOT VERIFIED: $1" >&2
  exit 1
}
decode() { base64 -d; }

# The receipt: the proof, a blank line, the text of the checkpoint, a blank line, and signatures.
awk 'BEGIN { part = "proof" } part != "signatures" && $0 == "" { part = part == "proof" ? "text" : "signatures"; next } { print > part }' receipt
[ "$(sed -n 1p proof)" = 'c2sp.org/tlog-proof@v1' ] || fail 'this is not a receipt'

# 1. The signature. The key is <name>+<id>+<base64 of a byte 1 and the Ed25519 key>. Before the key goes the header that
# openssl expects (RFC 8410). A signature line is "— <name> <base64 of the id and the signature>".
name=${vkey%%+*}
[ "$(sed -n 1p text)" = "$name" ] || fail "the checkpoint is not of $name"
printf '\60\52\60\5\6\3\53\145\160\3\41\0' > key.der
key=${vkey#*+}
printf %s "${key#*+}" | decode | tail -c +2 >> key.der
awk -v name="$name" '$1 == "—" && $2 == name { print $3; exit }' signatures | decode | tail -c +5 > signature
openssl pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in text -sigfile signature > /dev/null ||
  fail 'the signature of the checkpoint is wrong'

# 2. The entry: its leaf hash is SHA-256 over a byte 0 and the entry.
sed -n 's/^extra //p' proof | decode > entry
{ printf '\0' && cat entry; } | openssl dgst -sha256 -binary > hash

# 3. The inclusion proof, as RFC 9162 verifies it (section 2.1.3.2): a node is SHA-256 over a byte 1 and both hashes
# below it. `node` is the place of the hash in its level, and `last` that of the last node.
node=$(sed -n 's/^index //p' proof)
size=$(sed -n 2p text)
case "$node $size" in
  *[!0-9\ ]* | ' '* | *' ') fail 'the index or the size is not a number' ;;
esac
last=$((size - 1))
[ "$node" -le "$last" ] || fail 'the tree does not have the entry'
for sibling in $(sed 1,3d proof); do
  printf %s "$sibling" | decode > sibling
  [ "$last" -gt 0 ] || fail 'the proof is too long'
  if [ $((node % 2)) = 1 ] || [ "$node" = "$last" ]; then
    { printf '\1' && cat sibling hash; } | openssl dgst -sha256 -binary > next
    while [ $((node % 2)) = 0 ] && [ "$node" -gt 0 ]; do
      node=$((node / 2)) last=$((last / 2))
    done
  else
    { printf '\1' && cat hash sibling; } | openssl dgst -sha256 -binary > next
  fi
  mv next hash
  node=$((node / 2)) last=$((last / 2))
done
[ "$last" = 0 ] || fail 'the proof is too short'
[ "$(base64 < hash)" = "$(sed -n 3p text)" ] || fail 'the entry is not in the tree of the checkpoint'

cat entry
