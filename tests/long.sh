#!/bin/sh
# The tests that take long, beside tests/all.sh.
#
#   tests/long.sh                    all of them
#   tests/long.sh seeds [N [FIRST]]  N fault histories (200), each drawn from its seed: tests/faults
#   tests/long.sh properties [N]     properties with other draws, N cases each (2048), and N/32 histories
#   tests/long.sh image              the container image, built and run: tests/image.sh
#
# A seed that fails is named with its story; DIRSYNC_SEED=7 cargo test --test faults lives it
# again. Needs what tests/all.sh needs, libfaketime (Debian package) for histories in which
# the clock moves, and what tests/image.sh says; what lacks is skipped with a line.
set -eu
cd "$(dirname "$0")/.."

seeds() {
    DIRSYNC_SEEDS=${1:-200} DIRSYNC_SEED_FIRST=${2:-1} \
        cargo test --locked --test faults -- --nocapture whatever_happens
}

# Draws that tests/all.sh does not make; a failure names its own seed again with this one.
properties() {
    PROPTEST_RNG_SEED=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
    cases=${1:-2048}
    export PROPTEST_RNG_SEED
    # A history takes as long as some dozens of other cases.
    echo "PROPTEST_RNG_SEED=$PROPTEST_RNG_SEED, $cases cases, $(((cases + 31) / 32)) histories"
    PROPTEST_CASES=$cases cargo test --locked --lib reconcile &&
        PROPTEST_CASES=$(((cases + 31) / 32)) cargo test --locked --test store any_history
}

image() { sh tests/image.sh; }

case "${1:-all}" in
    all) properties && seeds && image ;;
    seeds) shift && seeds "$@" ;;
    properties) shift && properties "$@" ;;
    image) image ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
