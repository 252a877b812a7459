#!/bin/sh
# Installs the libraries that tests/suite/service/interop.rs works with, into
# target/interop. Done once; after that it costs nothing until a lock file changes.
#
# Needs python3 with venv (Debian: python3-venv), node and npm. Go and Java (a JDK and Maven) are
# used where they are; where they are not, a line says so, here and in the tests.
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

module=$here/go/go.mod
sums=$here/go/go.sum
if ! command -v go >/dev/null; then
    echo 'SKIPPED: the libraries for Go: there is no go'
elif ! installed go "$module" "$sums"; then
    rm -rf "$target/go" "$target/go.stamp"
    mkdir -p "$target/go"
    cp "$module" "$sums" "$target/go"
    # Whatever is on this machine, and no other toolchain; an older one cannot read the module.
    export GOTOOLCHAIN=local
    if (cd "$target/go" && go list -m) >/dev/null 2>&1; then
        # Compiled beforehand, so that the test does not wait for it.
        (cd "$target/go" && go build -mod=readonly compress/zlib net/http golang.org/x/time/rate \
            github.com/golang-jwt/jwt/v5 github.com/MicahParks/keyfunc/v3)
        stamp go "$module" "$sums"
    else
        echo "SKIPPED: the libraries for Go: $(go version) is too old"
    fi
fi

pom=$here/java/pom.xml
jars=$here/java/jars.sha256
if ! command -v mvn >/dev/null || ! command -v javac >/dev/null; then
    echo 'SKIPPED: the libraries for Java: there is no mvn, or no javac'
elif ! installed java "$pom" "$jars"; then
    rm -rf "$target/java" "$target/java.stamp"
    mvn --quiet --batch-mode -Dstyle.color=never --file "$pom" dependency:copy-dependencies \
        -DoutputDirectory="$target/java"
    (cd "$target/java" && sha256sum --check --quiet --strict "$jars")
    stamp java "$pom" "$jars"
fi
