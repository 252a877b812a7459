#!/usr/bin/env bash
# Tries out what the last stage of the Dockerfile makes, without Docker: puts the same root file system
# together, mounts it read-only, goes into it as the user 65532, and starts the server there, with SQLite and
# with PostgreSQL, whose name it has to look up.
#
#     deploy/check-image-root.sh [PROGRAM]
#
# PROGRAM is what deploy/build-static.sh has made; without one it is built. Needs root, and PostgreSQL, curl,
# python3, openssl and ca-certificates as Debian has them. Changes nothing outside a temporary directory: mounts,
# addresses and names are those of a namespace of its own, which ends with the script.
set -euo pipefail

if [ "${INSIDE_NAMESPACES:-}" != yes ]; then
    [ "$(id -u)" = 0 ] || { echo 'has to be run by root: it mounts' >&2; exit 2; }
    cd "$(dirname "${BASH_SOURCE[0]}")/.."
    work=$(mktemp -d)
    trap 'rm -rf --one-file-system "$work"' EXIT
    chmod 0755 "$work"
    program="${1:-$work/tokensmith}"
    [ -n "${1:-}" ] || deploy/build-static.sh "$program"
    program=$(realpath "$program")
    # Not as a background job, and with its own process ids: whatever is left ends with it.
    INSIDE_NAMESPACES=yes unshare --mount --net --pid --fork --mount-proc \
        "${BASH_SOURCE[0]}" "$program" "$work"
    exit
fi

program=$1 work=$2 root=$2/root
readonly nonroot=65532 server=http://127.0.0.1:8080
say() { printf '%s\n' "$*"; }
fail() { say "FAILED: $*" >&2; tail -n 20 "$work"/*.log >&2 || true; exit 1; }
until_true() { # WHAT COMMAND…
    local what=$1; shift
    for _ in $(seq 300); do if "$@" 2>/dev/null; then return; fi; sleep 0.1; done
    fail "waited in vain until $what"
}

# --- The root file system of the last stage -----------------------------------------------------
file -b "$program" 2>/dev/null | grep -q dynamically && fail "$program needs libraries"
mkdir -p "$root"/{data,keys,tmp,proc,dev,etc/ssl/certs,usr/local/bin,usr/share/doc/tokensmith}
chmod 1777 "$root/tmp"
install -m 0755 "$program" "$root/usr/local/bin/tokensmith"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:%s:%s:nonroot:/home/nonroot:/sbin/nologin\n' \
    $nonroot $nonroot >"$root/etc/passwd"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
# What Docker and Kubernetes put there: who am I, and whom to ask for names.
echo '127.0.0.1 localhost' >"$root/etc/hosts"
echo 'nameserver 127.0.0.1' >"$root/etc/resolv.conf"
if [ -e target/sbom/tokensmith.cdx.json ]; then
    cp target/sbom/tokensmith.cdx.json "$root/usr/share/doc/tokensmith/"
fi
bytes=$(find "$root" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
# The base has time zones and licences besides: 2 MB in all, of which the certificates are counted twice here.
whole=$((bytes + 2000000))
say "program $(stat -c %s "$program") bytes, image about $((whole / 1000000)) MB"
[ "$whole" -lt 40000000 ] || fail 'the image has 40 MB or more'

mkdir "$work/data" "$work/keys"
chown $nonroot:$nonroot "$work/data" "$work/keys"
chmod 0700 "$work/data" "$work/keys"
mount --bind "$root" "$root"
mount --bind "$work/data" "$root/data"
mount --bind "$work/keys" "$root/keys"
mount -t proc proc "$root/proc"
# As every container has them. A static program reads the last of them for some of its random bytes.
for device in null zero full random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,bind,ro "$root"
! touch "$root/tmp/x" 2>/dev/null || fail 'the root file system can be written to'

ip link set lo up 2>/dev/null || python3 -c '
import fcntl, socket, struct
s = socket.socket()
request = struct.pack("16sh", b"lo", 0x1 | 0x40)
fcntl.ioctl(s, 0x8914, request)'

in_image() { # As `docker run --read-only --user 65532:65532` would: no rights, nothing inherited.
    env -i PATH=/nowhere TOKENSMITH_ISSUER=$server TOKENSMITH_LISTEN=0.0.0.0:8080 \
        TOKENSMITH_DATA_DIR=/data TOKENSMITH_KEYS_DIR=/keys "${database[@]}" \
        /usr/sbin/chroot --userspec=$nonroot:$nonroot --groups= "$root" \
        /usr/local/bin/tokensmith "$@"
}

ready() { curl -sf -o /dev/null --max-time 3 "$server/readyz"; }
# The next server takes the port.
gone() { ! curl -s -o /dev/null --max-time 1 "$server/healthz"; }

token_is_good() { # Registers a service, asks for a token, and has the program verify it.
    local created secret token
    created=$(in_image client create --id orders --grant client_credentials --scope orders:read \
        --audience https://api.example.com --json) || fail 'no client'
    secret=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["client_secret"])' <<<"$created")
    asked() { curl -sf --max-time 5 -u "orders:$secret" -d grant_type=client_credentials "$server/oauth/token" >"$work/answer"; }
    until_true 'the server knows the client' asked
    token=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])' <"$work/answer")
    in_image token verify "$token" --issuer $server --audience https://api.example.com \
        >/dev/null 2>"$work/verify.log" || fail 'the token is not good'
}

try_out() { # WITH WHAT
    in_image serve >"$work/server.log" 2>&1 & local process=$!
    until_true 'the server is ready' ready
    token_is_good
    # `in_image` is a shell of its own, and what it has started is the server.
    local pid; pid=$(pgrep -P $process -x tokensmith || echo $process)
    [ "$(stat -c %u "/proc/$pid")" = $nonroot ] || fail 'it does not run as the user 65532'
    # What is open for writing outside of /data and /keys is a pipe, a socket or the log.
    local elsewhere
    elsewhere=$(find "/proc/$pid/fd" -type l -printf '%l\n' \
        | grep '^/' | grep -v -e "^$work" -e '^/dev/null' -e '^/data/' -e '^/keys/' || true)
    [ -z "$elsewhere" ] || fail "has other files open: $elsewhere"
    kill -TERM "$pid"
    wait $process || fail 'it did not end well'
    until_true 'the server is gone' gone
    say "ok: $1"
}

# --- SQLite -------------------------------------------------------------------------------------
database=()
try_out 'SQLite in /data, nothing else writable'

# --- PostgreSQL, with a password from a file, by a name from /etc/hosts and by one from DNS ----------
bin=$(dirname "$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)")
install -d -o postgres -g postgres "$work/postgres"
password=$(openssl rand -hex 16)
echo "$password" >"$work/password"; chown postgres "$work/password"
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
as_postgres "$bin/initdb" -D "$work/postgres/data" -U tokensmith --auth=scram-sha-256 \
    --pwfile="$work/password" >"$work/initdb.log" 2>&1 || fail initdb
as_postgres "$bin/pg_ctl" -D "$work/postgres/data" -l "$work/postgres/log" -w start \
    -o "-c listen_addresses=127.0.0.1 -c unix_socket_directories=$work/postgres -c fsync=off" >/dev/null \
    || fail 'PostgreSQL does not start'

# Answers every question for an IPv4 address with 127.0.0.1, and knows no other.
python3 - <<'PYTHON' &
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 53))
while True:
    asked, sender = s.recvfrom(512)
    end = asked.index(0, 12) + 5
    has_answer = asked[end - 4:end - 2] == b"\0\1"
    head = asked[:2] + b"\x81\x80\0\1" + (b"\0\1" if has_answer else b"\0\0") + b"\0\0\0\0"
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x7f\0\0\1" if has_answer else b""
    s.sendto(head + asked[12:end] + answer, sender)
PYTHON

for host in localhost database.internal; do
    PGPASSWORD=$password "$bin/psql" -q -h 127.0.0.1 -U tokensmith postgres -c "CREATE DATABASE \"$host\""
    # A read-only root is no place for it; /keys stands for where secrets are mounted.
    echo "$host:5432:*:tokensmith:$password" >"$work/keys/pgpass"
    chown $nonroot "$work/keys/pgpass"; chmod 0600 "$work/keys/pgpass"
    database=(TOKENSMITH_DATABASE_URL="postgres://tokensmith@$host/$host" PGPASSFILE=/keys/pgpass)
    rm -f "$work/keys/master.key"
    try_out "PostgreSQL at $host"
done
