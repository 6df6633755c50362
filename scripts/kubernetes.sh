#!/bin/sh
# Checks the Kubernetes manifests given against the schemas of Kubernetes, which the program brings along; installs it from
# PyPI below target/tools where it is missing.
set -eu

cd "$(dirname "$0")/.."
version=1.37.0
tools="$PWD/target/tools"
PATH="$tools/kubernetes-validate/bin:$PATH"

if ! command -v kubernetes-validate >/dev/null 2>&1; then
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        echo "kubernetes-validate is missing, and so is what would install it: please run, as root: apt-get install python3-venv" >&2
        exit 1
    fi
    python3 -m venv "$tools/kubernetes-validate"
    "$tools/kubernetes-validate/bin/pip" install --quiet "kubernetes-validate==$version"
fi
kubernetes-validate --strict "$@"
