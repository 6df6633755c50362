#!/bin/sh
# Builds CoreDNS from its Go module, with the plugins that tests/interop/coredns/main.go names:
#
#   scripts/build-coredns.sh        target/tools/bin/coredns is there afterwards
#
# The program is kept in the user's cache under a name that its sources determine: only the first build of a version
# takes minutes and the network. Fails, saying so, where Go is missing.
set -eu

cd "$(dirname "$0")/.."
tools="$PWD/target/tools"
sources=tests/interop/coredns
version=$(cat "$sources/main.go" "$sources/go.mod" "$sources/go.sum" | sha256sum | cut -c1-16)
built="${XDG_CACHE_HOME:-$HOME/.cache}/meshdns/coredns-$version"

if [ ! -x "$built" ]; then
    # Where the Go project's own archive is unpacked, which is not on everyone's PATH.
    PATH="$PATH:/usr/local/go/bin"
    if ! command -v go >/dev/null 2>&1; then
        echo "CoreDNS is built from source, and there is no Go on the PATH (1.26 or later: https://go.dev/dl)" >&2
        exit 1
    fi
    echo "building CoreDNS; this takes a few minutes, once" >&2
    mkdir -p "$(dirname "$built")"
    # A name of its own first: two builds at once don't meet, and one that is cut short leaves no half program.
    trap 'rm -f "$built.$$"' EXIT
    CGO_ENABLED=0 go -C "$sources" build -trimpath -ldflags='-s -w' -o "$built.$$" .
    mv "$built.$$" "$built"
fi
mkdir -p "$tools/bin"
ln -sf "$built" "$tools/bin/coredns"
