#!/bin/sh
# The one test command: format, lints, docs, and every test on SQLite and PostgreSQL.
#
#   tests/all.sh            everything
#   tests/all.sh --fast     without format, lints and docs
#
# Installs what it lacks where it can (Debian packages, as root); otherwise says what
# is missing and stops. Needs a Rust toolchain, a C compiler, make and perl.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }
die() { printf 'tests/all.sh: %s\n' "$*" >&2; exit 1; }

install() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing $*"
        if ! apt-get install -y -q --no-install-recommends "$@" >/dev/null 2>&1; then
            apt-get update -q >/dev/null || die "the package lists cannot be updated; install $* by hand"
            apt-get install -y -q --no-install-recommends "$@" >/dev/null || die "installing $* failed"
        fi
    else
        die "missing: $*; install it (Debian: apt-get install $*) and run again"
    fi
}

postgres_programs() {
    for dir in "${PG_BIN:-}" $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -Vr) $(printf %s "$PATH" | tr ':' ' '); do
        if [ -n "$dir" ] && [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then
            printf '%s\n' "$dir"
            return
        fi
    done
}

need_program() { command -v "$1" >/dev/null 2>&1 || install "$2"; }

# A program that some tests ask for and skip without, saying so. Its services are not started.
want_program() {
    command -v "$1" >/dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing $2"
        apt-get install -y -q --no-install-recommends "$2" >/dev/null 2>&1 && return
        apt-get update -q >/dev/null 2>&1 && apt-get install -y -q --no-install-recommends "$2" >/dev/null 2>&1 && return
    fi
    say "skipped for want of $1 (Debian: apt-get install $2): $3"
}

command -v cargo >/dev/null 2>&1 || die "missing: cargo; install a Rust toolchain (https://rustup.rs)"
need_program cc gcc
need_program make make
need_program perl perl
[ -n "$(postgres_programs)" ] || install postgresql
PG_BIN=$(postgres_programs)
[ -n "$PG_BIN" ] || die "missing: PostgreSQL's server programs (initdb, postgres); set PG_BIN to their folder"
command -v psql >/dev/null 2>&1 || [ -x "$PG_BIN/psql" ] || install postgresql-client
export PG_BIN
# Without it the tests of poolers would be skipped.
[ -x /usr/sbin/pgbouncer ] || need_program pgbouncer pgbouncer
want_program faketime faketime "histories of faults in which the clock moves"
want_program promtool prometheus "the real promtool on the daemon's metrics"
say "PostgreSQL: $("$PG_BIN/postgres" --version)"

# A configuration of the caller's must not leak into a test.
for name in $(env | sed -n 's/^\(DIRSYNC_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
# Properties are drawn alike each time: what fails here has been broken by what changed.
# tests/long.sh draws others.
export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-1}"

if [ "${1:-}" != --fast ]; then
    if cargo fmt --version >/dev/null 2>&1; then
        say "format"
        cargo fmt --all --check
    else
        die "missing: rustfmt; rustup component add rustfmt"
    fi
    cargo clippy --version >/dev/null 2>&1 || die "missing: clippy; rustup component add clippy"
    say "lints"
    cargo clippy --locked --workspace --all-targets -- -D warnings
    say "lints of the build without the simulator, as in the container image"
    cargo clippy --locked --no-default-features --lib --bins -- -D warnings
    say "docs"
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
fi

say "tests"
cargo test --locked --workspace
say "chart, alerts and dashboard"
sh tests/chart/run.sh
say "all good"
