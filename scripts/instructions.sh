#!/bin/sh
# Counts the instructions that it takes to read, answer and write a query, and compares them with benches/instructions.txt:
#
#   scripts/instructions.sh            fails where a kind of query takes over 10 % more than recorded
#   scripts/instructions.sh record     records the figures of this build
#
# Builds with the profile `instructions`: our code optimised, what it depends on not. The figures are for comparing builds
# with each other; the code that runs in service is faster. Clusters are left out: no query meets them, and the build is shorter.
set -eu

cd "$(dirname "$0")/.."
recorded=benches/instructions.txt
rounds=100
names=1000

program=$(cargo build --locked --quiet --no-default-features --profile instructions --bench instructions --message-format json |
    sed -n 's/.*"executable":"\([^"]*instructions[^"]*\)".*/\1/p' | tail -n 1)

# Prints how many instructions the program takes for that many rounds of a kind of query.
count() {
    valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 |
        sed -n 's/.*I *refs: *//p' | tr -d ,
}

# Prints one line for each kind of query: its name and its instructions.
measure() {
    for kind in $("$program" | sed 1d); do
        with=$(count "$kind" "$rounds")
        without=$(count "$kind" 0)
        echo "$kind $(((with - without) / (rounds * names)))"
    done
}

measured=$(measure)
if [ "${1:-}" = record ]; then
    echo "$measured" >"$recorded"
    echo "$measured"
    exit 0
fi
echo "$measured" | awk -v recorded="$recorded" '
    BEGIN { while ((getline line < recorded) > 0) { split(line, field, " "); held[field[1]] = field[2] } }
    {
        change = held[$1] ? ($2 / held[$1] - 1) * 100 : 0
        printf "%-10s %5d instructions, recorded %5d (%+.1f %%)\n", $1, $2, held[$1], change
        if (!held[$1] || change > 10) grown = grown " " $1
        if (change < -10) shrunk = 1
    }
    END {
        if (grown != "") {
            print "\nThese take over 10 % more instructions a query than recorded:" grown
            print "Find out what the change added to the path of every query (valgrind --tool=callgrind shows it). If it is"
            print "worth its price, record the new figures: scripts/instructions.sh record"
            exit 1
        }
        if (shrunk) print "Fewer than recorded: keep the gain with scripts/instructions.sh record"
    }'
