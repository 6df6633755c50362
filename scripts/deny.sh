#!/bin/sh
# Checks the licences, sources and bans of deny.toml, and known vulnerabilities where their database can be had.
set -eu

cd "$(dirname "$0")/.."
version=0.20.2
tools="$PWD/target/tools"
PATH="$tools/cargo/bin:$PATH"

# Built without optimisation: it runs for a second, and the build would take three times as long.
if ! command -v cargo-deny >/dev/null 2>&1; then
    echo "building cargo-deny $version, once" >&2
    CARGO_TARGET_DIR="$tools/cargo/target" cargo install --locked --quiet --debug --root "$tools/cargo" "cargo-deny@$version"
    rm -rf "$tools/cargo/target"
fi

cargo deny --locked check --hide-inclusion-graph bans licenses sources

# The database is a git repository, which not every machine may reach. What was fetched is checked; and that nothing
# could be fetched is said; .ci/run says it once more at its end, by the file that the variable NOT_CHECKED names.
if cargo deny --locked fetch db >/dev/null 2>&1; then
    cargo deny --locked check --disable-fetch --hide-inclusion-graph advisories
else
    echo "NOT CHECKED: advisories. The RustSec database could not be fetched from this machine." |
        tee -a "${NOT_CHECKED:-/dev/null}" >&2
fi
