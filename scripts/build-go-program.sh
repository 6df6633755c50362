#!/bin/sh
# Builds a program that tests and benches need from its Go module:
#
#   scripts/build-go-program.sh coredns           CoreDNS, with the plugins that tests/interop/coredns/main.go names
#   scripts/build-go-program.sh kube-apiserver    Kubernetes' API server
#   scripts/build-go-program.sh etcd              etcd, newer than Debian's: Kubernetes' lists come as streams from it
#
# It is target/tools/bin/NAME afterwards; etcd is meshdns-etcd there, so that Debian's is another. go.mod names the version.
#
# The program is kept in the user's cache under a name that its sources determine: only the first build of a version
# takes minutes and the network. Fails, saying so, where Go is missing.
set -eu

cd "$(dirname "$0")/.."
name=$1
link=$name
stamp=
case $name in
    coredns) sources=tests/interop/coredns package=. time="a few minutes" ;;
    kube-apiserver)
        sources=tests/kubernetes/apiserver package=k8s.io/kubernetes/cmd/kube-apiserver time="some ten minutes"
        # The program takes its version from here. Where it has none, it serves no API that a release has turned off.
        release=$(sed -n 's|^\tk8s.io/kubernetes \(v[0-9.]*\).*|\1|p' "$sources/go.mod")
        stamp=" -X k8s.io/component-base/version.gitVersion=$release"
        ;;
    etcd) sources=tests/kubernetes/etcd package=go.etcd.io/etcd/server/v3 time="two minutes" link=meshdns-etcd ;;
    *)
        echo "$0: no program $name" >&2
        exit 64
        ;;
esac
version=$(find "$sources" -name main.go -exec cat {} + | cat - "$sources/go.mod" "$sources/go.sum" | sha256sum | cut -c1-16)
built="${XDG_CACHE_HOME:-$HOME/.cache}/meshdns/$name-$version"

if [ ! -x "$built" ]; then
    # Where the Go project's own archive is unpacked, which is not on everyone's PATH.
    PATH="$PATH:/usr/local/go/bin"
    if ! command -v go >/dev/null 2>&1; then
        echo "$name is built from source, and there is no Go on the PATH (1.26 or later: https://go.dev/dl)" >&2
        exit 1
    fi
    echo "building $name; this takes $time, once" >&2
    mkdir -p "$(dirname "$built")"
    # A name of its own first: two builds at once don't meet, and one that is cut short leaves no half program.
    trap 'rm -f "$built.$$"' EXIT
    CGO_ENABLED=0 go -C "$sources" build -trimpath -ldflags="-s -w$stamp" -o "$built.$$" "$package"
    mv "$built.$$" "$built"
fi
tools="$PWD/target/tools"
mkdir -p "$tools/bin"
ln -sf "$built" "$tools/bin/$link"
