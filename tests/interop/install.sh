#!/bin/sh
# Installs the libraries that tests/suite/service/interop.rs works with, into
# target/interop. Done once; after that it costs nothing until a lock file changes.
#
# Needs python3 with venv (Debian: python3-venv), node and npm.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
target=$here/../../target/interop
mkdir -p "$target"

# installed NAME FILE...: whether NAME was installed from these very files.
installed() {
    stamp=$target/$1.stamp
    shift
    cat "$@" | cmp -s - "$stamp"
}

stamp() {
    stamp=$target/$1.stamp
    shift
    cat "$@" >"$stamp"
}

requirements=$here/python/requirements.txt
if ! installed python "$requirements"; then
    rm -rf "$target/python"
    python3 -m venv "$target/python"
    "$target/python/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --requirement "$requirements"
    stamp python "$requirements"
fi

package=$here/node/package.json
lock=$here/node/package-lock.json
if ! installed node "$package" "$lock"; then
    rm -rf "$target/node"
    mkdir -p "$target/node"
    cp "$package" "$lock" "$target/node"
    (cd "$target/node" && npm ci --silent --ignore-scripts --no-audit --no-fund)
    stamp node "$package" "$lock"
fi
