#!/bin/sh
# Builds Kubernetes' API server from its Go module, in the version that tests/kubernetes/apiserver/go.mod names:
#
#   scripts/build-kube-apiserver.sh        target/tools/bin/kube-apiserver is there afterwards
#
# The program is kept in the user's cache under a name that its sources determine: only the first build of a version
# takes minutes and the network. Fails, saying so, where Go is missing.
set -eu

cd "$(dirname "$0")/.."
tools="$PWD/target/tools"
sources=tests/kubernetes/apiserver
version=$(cat "$sources/go.mod" "$sources/go.sum" | sha256sum | cut -c1-16)
built="${XDG_CACHE_HOME:-$HOME/.cache}/meshdns/kube-apiserver-$version"

if [ ! -x "$built" ]; then
    # Where the Go project's own archive is unpacked, which is not on everyone's PATH.
    PATH="$PATH:/usr/local/go/bin"
    if ! command -v go >/dev/null 2>&1; then
        echo "kube-apiserver is built from source, and there is no Go on the PATH (1.26 or later: https://go.dev/dl)" >&2
        exit 1
    fi
    echo "building kube-apiserver; this takes some ten minutes, once" >&2
    mkdir -p "$(dirname "$built")"
    # A name of its own first: two builds at once don't meet, and one that is cut short leaves no half program.
    trap 'rm -f "$built.$$"' EXIT
    # The program takes its version from here. Where it has none, it serves no API that a release has turned off.
    release=$(sed -n 's|^\tk8s.io/kubernetes \(v[0-9.]*\).*|\1|p' "$sources/go.mod")
    stamp="-X k8s.io/component-base/version.gitVersion=$release"
    CGO_ENABLED=0 go -C "$sources" build -trimpath -ldflags="-s -w $stamp" -o "$built.$$" k8s.io/kubernetes/cmd/kube-apiserver
    mv "$built.$$" "$built"
fi
mkdir -p "$tools/bin"
ln -sf "$built" "$tools/bin/kube-apiserver"
