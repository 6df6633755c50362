#!/bin/sh
# Looks at each status page with axe-core (MPL-2.0, for this alone), in the browser that the tests use.
set -eu

cd "$(dirname "$0")/.."
version=4.14.1
folder=target/tools/axe-core-$version
if [ ! -e "$folder/package/axe.min.js" ]; then
    command -v npm >/dev/null || {
        echo "npm is missing, which fetches axe-core: install Node.js with it (Debian: npm)" >&2
        exit 69
    }
    mkdir -p "$folder"
    (cd "$folder" && npm pack --silent "axe-core@$version" && tar -xzf "axe-core-$version.tgz")
fi
AXE_CORE=$PWD/$folder/package/axe.min.js
export AXE_CORE
cargo test --locked --test ui -- --ignored axe
