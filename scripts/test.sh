#!/bin/sh
# Runs the tests, and counts by name those that were skipped because this machine lacks what they need:
#
#   scripts/test.sh                    all of them
#   scripts/test.sh --test interop     what `cargo test` takes
#
# With the variable NO_SKIPS set, as in CI, such a test fails instead. tests/needs says which needs there are.
set -eu

cd "$(dirname "$0")/.."
mkdir -p target
SKIPPED_LIST="$PWD/target/skipped-tests.$$"
export SKIPPED_LIST
trap 'rm -f "$SKIPPED_LIST"' EXIT
: >"$SKIPPED_LIST"

code=0
cargo test --locked "$@" || code=$?

count=$(wc -l <"$SKIPPED_LIST")
if [ "$count" -gt 0 ]; then
    echo
    echo "$count skipped: this machine lacks what they need (NO_SKIPS=1 makes them fail)"
    sort "$SKIPPED_LIST" | sed 's/^/    /'
fi
exit "$code"
