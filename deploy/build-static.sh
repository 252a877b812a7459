#!/usr/bin/env bash
# Builds the server as one file without any library beside it, for this machine's processor:
#
#     deploy/build-static.sh OUTPUT
set -euo pipefail
output=$(realpath "${1:?where to put it: deploy/build-static.sh OUTPUT}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Named, so that the flag is for the program alone: what runs while it is built needs to load libraries.
target="$(uname -m)-unknown-linux-gnu"
RUSTFLAGS='-C target-feature=+crt-static' \
    cargo build --release --locked --bin tokensmith --target "$target"
install -m 0755 "${CARGO_TARGET_DIR:-target}/$target/release/tokensmith" "$output"
