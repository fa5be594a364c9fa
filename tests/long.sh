#!/bin/sh
# Many fault histories, each drawn from its seed: tests/faults.
#
#   tests/long.sh           200 seeds
#   tests/long.sh 5000      so many
#   tests/long.sh 500 1000  so many, from seed 1000 on
#
# A seed that fails is named with its story; DIRSYNC_SEED=7 cargo test --test faults
# lives it again. Needs what tests/all.sh needs, and libfaketime (Debian package) for
# histories in which the clock moves.
set -eu
cd "$(dirname "$0")/.."
DIRSYNC_SEEDS=${1:-200} DIRSYNC_SEED_FIRST=${2:-1} \
    exec cargo test --locked --test faults -- --nocapture whatever_happens
