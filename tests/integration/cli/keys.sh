#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# keys.sh - bfork keygen, allow, revoke on files: nothing is overwritten, nothing is readable by others, lists change as said.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh" </dev/null

expect 0 "$bfork" keygen --dir keys --broker tcp://127.0.0.1:45991
for word in bfork-broker 'bfork-worker --key worker.key' 'BFORK_PROFILE=keys/lab.conf' tcp://127.0.0.1:45991; do
    out_has "$word"
done
for file in broker client worker admin; do
    [ "$(stat -c %a "keys/$file.key")" = 600 ] || fail "others may read $file.key"
    grep -q 'broker = "tcp://127.0.0.1:45991"' "keys/$file.key" || fail "$file.key does not say where the broker is"
done
public_of() { sed -n 's/.*public-key = "\(.*\)".*/\1/p' "$1"; }
broker_of() { sed -n 's/.*broker-key = "\(.*\)".*/\1/p' "$1"; }
for role in client worker admin; do
    grep -qF -e "$(public_of keys/$role.key)" "keys/allow/${role}s" || fail "the $role is not allowed"
    [ "$(wc -l <"keys/allow/${role}s")" -eq 1 ] || fail "more than one $role is allowed"
    [ "$(broker_of keys/$role.key)" = "$(public_of keys/broker.key)" ] || fail "$role.key has another broker's key"
done
grep -qxF -e "broker-key = $(public_of keys/broker.key)" keys/lab.conf || fail "the profile has another broker's key"

# Again: refused, nothing changed. The same if only one file is there.
cp -a keys before
expect 1 "$bfork" keygen --dir keys
err_has 'exists already'
diff -r keys before || fail 'a second keygen changes something'
mkdir one && echo mine >one/admin.key
expect 1 "$bfork" keygen --dir one
[ "$(ls one)" = admin.key ] || fail "a refused keygen leaves $(ls one)"
[ "$(cat one/admin.key)" = mine ] || fail 'a key file is overwritten'
if [ "$(id -u)" -ne 0 ]; then
    mkdir -m 500 closed
    expect 1 "$bfork" keygen --dir closed
    err_has closed
fi

# The broker's own key, which is nobody else's to come with; and what is missing says where it is to be had.
cp -a keys swapped
cp keys/broker.key swapped/client.key
expect 125 "$bfork" --profile swapped/lab.conf run true
err_has "client.key is the broker's own key"
worker=$BF_BUILD/worker/bfork-worker
expect 2 "$worker" --dir swapped --key swapped/broker.key
err_has "broker.key is the broker's own key"
expect 2 "$worker" --dir empty --state-dir "$PWD/state"
err_has 'there is no key file'
err_has "on the broker's host"
expect 2 "$worker" --dir swapped --broker-key none
err_has "none: it is the public-key in broker.key"
rm swapped/client.key
expect 125 "$bfork" --profile swapped/lab.conf run true
err_has "bfork keygen makes it, on the broker's host"
expect 125 "$bfork" --profile swapped/other.conf run true
err_has "bfork keygen makes it, on the broker's host: copy other.conf and client.key from there"
! grep -qF 'other.conf (' err || fail "the path stands twice: $(cat err)"

expect 255 "$bfork" --profile locl: map echo ::: 1
err_has "there is no profile locl:, and no name of one ends with a colon; did you mean local:?"
expect 255 "$bfork" --profile cluster: map echo ::: 1
err_has "there is no profile cluster:, and no name of one ends with a colon; local: and serial: need no profile"

# Where: --dir, then BFORK_DIR, then HOME.
expect 0 env BFORK_DIR=from-env "$bfork" keygen --profile prod
[ -f from-env/prod.conf ] || fail BFORK_DIR
expect 0 env HOME="$PWD/home" "$bfork" keygen
[ -f home/.config/broadfork/lab.conf ] || fail HOME
out_has 'export BFORK_PROFILE=lab'
[ "$(stat -c %a home/.config/broadfork)" = 700 ] || fail 'others may look into the directory'

# One more key. Its user has a profile that names client.key: what to do is said.
cp -a keys more
expect 0 "$bfork" keygen --dir more client bob
out_has 'its user needs it as client.key in ~/.config/broadfork, beside the profile (such as lab.conf)'
expect 0 "$bfork" keygen --dir keys worker rack-7
grep -qxF -e "$(public_of keys/worker-rack-7.key)  rack-7" keys/allow/workers || fail 'the new worker is not allowed'
[ "$(broker_of keys/worker-rack-7.key)" = "$(public_of keys/broker.key)" ] || fail "another broker's key"
out_has 'kill -HUP'
expect 1 "$bfork" keygen --dir keys worker rack-7
expect 1 "$bfork" keygen --dir nowhere client alice
err_has 'no cluster'
expect 2 "$bfork" keygen --dir keys robot alice
expect 2 "$bfork" keygen --dir keys client '../x'
expect 2 "$bfork" keygen --dir other --broker nonsense
[ ! -e other ] || fail 'a refused keygen makes a directory'
expect 2 "$bfork" keygen --dir other --profile broker

# Certificates as czmq's zcert has them: a public file, and a secret one beside it that nobody else may read.
expect 0 "$bfork" keygen --zcert --dir keys client carol
out_has 'keys/client-carol.cert_secret'
out_has 'key = client-carol.cert'
[ "$(stat -c %a keys/client-carol.cert keys/client-carol.cert_secret | tr '\n' ' ')" = '644 600 ' ] || fail 'modes of a certificate'
! grep -q secret-key keys/client-carol.cert || fail 'the public file has the secret'
[ "$(public_of keys/client-carol.cert)" = "$(public_of keys/client-carol.cert_secret)" ] || fail 'a certificate of two keys'
grep -qxF -e "$(public_of keys/client-carol.cert)  carol" keys/allow/clients || fail 'the new client is not allowed'
expect 1 "$bfork" keygen --zcert --dir keys client carol
err_has 'exists already'
[ "$(grep -c carol keys/allow/clients)" -eq 1 ] || fail 'a refused key is allowed'
rm keys/client-carol.cert
expect 1 "$bfork" keygen --zcert --dir keys client carol
err_has 'client-carol.cert_secret exists already'
[ ! -e keys/client-carol.cert ] || fail 'half a certificate is left'
sed '/secret-key/d' keys/client-carol.cert_secret >keys/client-carol.cert
expect 0 "$bfork" revoke --dir keys client keys/client-carol.cert
expect 0 "$bfork" allow --dir keys client keys/client-carol.cert carol
grep -qxF -e "$(public_of keys/client-carol.cert)  carol" keys/allow/clients || fail 'the certificate is not allowed'
expect 0 "$bfork" revoke --dir keys client keys/client-carol.cert_secret
sed 's/public-key = "./public-key = "/' keys/client-carol.cert >damaged.cert
expect 1 "$bfork" allow --dir keys client damaged.cert
err_has "damaged.cert:$(grep -n public-key damaged.cert | cut -d: -f1): this key file is damaged: public-key is not a key in Z85"
sed 's/^key .*/key = client-carol.cert/' keys/lab.conf >keys/carol.conf
chmod 640 keys/client-carol.cert_secret
expect 125 "$bfork" --profile keys/carol.conf run true
err_has 'chmod 600 keys/client-carol.cert_secret'
rm keys/client-carol.cert_secret
expect 125 "$bfork" --profile keys/carol.conf run true
err_has 'has only the public key, and there is no keys/client-carol.cert_secret'
rm keys/carol.conf

# A cluster of nothing but certificates; one more key is of either form.
expect 0 "$bfork" keygen --zcert --dir certs --broker tcp://127.0.0.1:45991
for word in 'bfork-broker --dir certs --key certs/broker.cert' 'scp certs/worker.cert* HOST:' 'bfork-worker --key worker.cert'; do
    out_has "$word"
done
[ "$(ls certs)" = "$(printf '%s\n' admin.cert admin.cert_secret allow broker.cert broker.cert_secret client.cert client.cert_secret lab.conf \
    worker.cert worker.cert_secret)" ] || fail "keygen --zcert makes $(ls certs)"
grep -q '^key *= client.cert$' certs/lab.conf || fail "the profile says $(cat certs/lab.conf)"
expect 1 "$bfork" keygen --dir certs
err_has 'broker.cert exists already'
expect 0 "$bfork" keygen --dir certs worker rack-7
[ "$(broker_of certs/worker-rack-7.key)" = "$(public_of certs/broker.cert)" ] || fail "another broker's key"
expect 0 "$worker" --check-config --dir certs --key certs/worker.cert --state-dir "$PWD/state"
grep -qE '^# key +certs/worker.cert_secret$' out || fail "which file tasks must not read: $(cat out)"
cp certs/broker.cert swapped/
cp certs/broker.cert_secret swapped/
expect 2 "$worker" --dir swapped --key swapped/broker.cert
err_has "broker.cert_secret is the broker's own key"

# allow: by key and by file; once.
key='rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7'
expect 0 "$bfork" allow --dir keys client "$key" alice
grep -qxF -e "$key  alice" keys/allow/clients || fail "allow: $(cat keys/allow/clients)"
expect 0 "$bfork" allow --dir keys client "$key" bob
out_has 'already'
expect 0 "$bfork" allow --dir keys client home/.config/broadfork/client.key home
[ "$(wc -l <keys/allow/clients)" -eq 3 ] || fail "allow: $(cat keys/allow/clients)"
dash='-q:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7'
expect 0 "$bfork" allow --dir keys admin "$dash"
grep -qF -e "$dash" keys/allow/admins || fail "a key that begins with a dash: $(cat keys/allow/admins)"
expect 0 "$bfork" revoke --dir keys admin "$dash"
# Options may stand behind the words, in front of a key that begins with a dash too.
mkdir -p plain/allow
dashed() {
    expect 0 "$bfork" allow "$@"
    grep -qxF -e "$dash  dashed" plain/allow/clients || fail "allow $*: $(cat plain/allow/clients)"
    expect 0 "$bfork" revoke client dashed --dir plain
    ! grep -qF -e "$dash" plain/allow/clients || fail "revoke NAME --dir: $(cat plain/allow/clients)"
}
dashed client "$dash" dashed --dir plain
dashed client "$dash" -d plain dashed
dashed client --dir plain "$dash" dashed
dashed --dir=plain client "$dash" dashed
expect 0 "$bfork" allow --dir plain admin -- "$dash"
expect 0 "$bfork" revoke admin "$dash" -d plain
expect 2 "$bfork" revoke client alice --dir
expect 2 "$bfork" revoke client alice --nonsense
expect 1 "$bfork" allow --dir keys client not-a-key
err_has 'not-a-key'
expect 2 "$bfork" allow --dir keys robot "$key"
expect 2 "$bfork" allow --dir keys client

# revoke: by key, name, file; what is not there is an error.
expect 0 "$bfork" revoke --dir keys client "$key"
expect 1 "$bfork" revoke --dir keys client "$key"
err_has 'nothing was changed'
expect 0 "$bfork" revoke --dir keys client home
[ "$(wc -l <keys/allow/clients)" -eq 1 ] || fail "revoke: $(cat keys/allow/clients)"
expect 0 "$bfork" revoke --dir keys worker keys/worker-rack-7.key
grep -qF -e "$(public_of keys/worker.key)" keys/allow/workers || fail 'revoke takes too many'
expect 1 "$bfork" revoke --dir keys worker nobody
