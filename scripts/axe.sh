#!/bin/sh
# Fetches axe-core (MPL-2.0, for the tests alone), which looks for what keeps people from reading a page. It is
# target/tools/axe.min.js afterwards; tests/ui/browser.rs runs it in each status page.
#
# Fails, saying so, where npm is missing or the archive is another one than that of this version.
set -eu

cd "$(dirname "$0")/.."
version=4.14.1
sha512=1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5
folder=target/tools/axe-core-$version
if [ ! -e "$folder/package/axe.min.js" ]; then
    PATH="$PWD/target/tools/bin:$PATH"
    # Where Debian's npm is unpacked and not installed, its parts are no neighbours of Node.js.
    NODE_PATH="$PWD/target/tools/root/usr/share/nodejs${NODE_PATH:+:$NODE_PATH}"
    export NODE_PATH
    if ! command -v npm >/dev/null 2>&1; then
        echo "npm is missing, which fetches axe-core: install Node.js with it (Debian: npm)" >&2
        exit 1
    fi
    # A folder of its own first: what is cut short is not there.
    mkdir -p target/tools
    new=$(mktemp -d target/tools/axe.XXXXXX)
    trap 'rm -rf "$new"' EXIT
    (
        cd "$new"
        npm pack --silent "axe-core@$version" >/dev/null
        echo "$sha512  axe-core-$version.tgz" | sha512sum --check --quiet
        tar -xzf "axe-core-$version.tgz"
        rm "axe-core-$version.tgz"
    )
    rm -rf "$folder"
    mv "$new" "$folder"
    chmod 755 "$folder"
fi
ln -sf "axe-core-$version/package/axe.min.js" target/tools/axe.min.js
