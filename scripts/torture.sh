#!/bin/sh
# Takes the limits of docs/hardening.md by force: hostile files, clients and upstreams, and kills under a writer, ROUNDS times
# over; then SECONDS_UNDER_LOAD under load. `make test` runs the same tests once.
set -eu

cd "$(dirname "$0")/.."
rounds=${ROUNDS:-3}
seconds=${SECONDS_UNDER_LOAD:-600}

# Each line is a test program, and the parts of it that are meant.
tests() {
    cat <<'END'
reload kills hostile links folders start state
hostile_files
validation_hostile
tcp
restraint
encrypted limits
forward fairness mesh_names
cli hardship
END
}

round=1
while [ "$round" -le "$rounds" ]; do
    printf '\n==> round %s of %s\n' "$round" "$rounds"
    tests | while read -r program parts; do
        # shellcheck disable=SC2086 # several words on purpose
        cargo test --locked --test "$program" -- $parts </dev/null
    done
    round=$((round + 1))
done
printf '\n==> %s s under load\n' "$seconds"
cargo bench --locked --bench load -- soak --seconds "$seconds"
