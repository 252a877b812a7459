#!/bin/sh
# Makes the secrets of deploy/compose.yaml in deploy/secrets/, once. What is there stays as it is.
#
#     sudo deploy/make-secrets.sh
#
# Needs root, because the server, which is the user 65532 in its container, only reads what is its own and
# hidden from others. Keep a copy of master.key apart from the backups of the database.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets
cd secrets

random() { head -c 32 /dev/urandom | base64 | tr -d '\n'; }
make_once() { # NAME OWNER, the content on standard input
    if [ ! -e "$1" ]; then
        cat >"$1.new"
        chown "$2" "$1.new"
        chmod 0600 "$1.new"
        mv "$1.new" "$1"
    fi
}

random | make_once master.key 65532:65532
# Without characters that mean something in the file of passwords.
random | tr -d '+/=' | make_once database-password 0:0
# https://www.postgresql.org/docs/current/libpq-pgpass.html
printf 'database:5432:tokensmith:tokensmith:%s\n' "$(cat database-password)" | make_once pgpass 65532:65532
