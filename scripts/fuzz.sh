#!/bin/bash
# Feeds the readers of foreign bytes with what a fuzzer thinks of:
#
#   scripts/fuzz.sh                    every target for a minute
#   SECONDS_EACH=20 scripts/fuzz.sh    every target for 20 s
#   scripts/fuzz.sh query reply        these targets
#
# As many targets run side by side as there are cores. Seeds are made of what tests/cases and the docs have; what the fuzzer
# finds beyond them stays in target/fuzz/corpus, and what breaks a target in target/fuzz/artifacts.
#
# Takes the stable toolchain: the passes that tell libFuzzer what was reached are LLVM's own. Without a sanitizer, for there is
# no unsafe code here for it to look at; debug assertions and overflow checks are on.
set -euo pipefail

cd "$(dirname "$0")/.."
seconds=${SECONDS_EACH:-60}
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    targets=(query reply manifest configuration resolv_conf http doh cluster)
fi

# With a target named, cargo gives the flags to what is fuzzed alone, and not to build scripts; the folder is the same.
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
RUSTFLAGS+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
RUSTFLAGS+=" -Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTFLAGS
cargo build --locked --release --manifest-path fuzz/Cargo.toml --target "$host"
programs="$CARGO_TARGET_DIR/$host/release"
place="$PWD/target/fuzz"
SEEDS="$place/seeds" "$programs/query"

# Runs one target, and says what came of it in one line; what it printed is shown where it broke.
run() {
    local target=$1 log="$place/$1.log"
    mkdir -p "$place/corpus/$target" "$place/artifacts/$target"
    if "$programs/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -artifact_prefix="$place/artifacts/$target/" \
        "$place/corpus/$target" "$place/seeds/$target" >"$log" 2>&1; then
        echo "fuzzed $target: $(grep -o 'Done [0-9]* runs in [0-9]* second' "$log" || tail -n 1 "$log")s"
        return 0
    fi
    echo "BROKEN: $target" >&2
    tail -n 60 "$log" >&2
    return 1
}

failed=0
for target in "${targets[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
        wait -n || failed=1
    done
    run "$target" &
done
while [ -n "$(jobs -p)" ]; do
    wait -n || failed=1
done
exit "$failed"
