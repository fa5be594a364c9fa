#!/bin/sh
# Builds the container image with buildah and runs it with podman, as hard as a cluster
# would: read-only root, no capability, no new privileges, a memory limit, user 65532.
#
#   tests/image.sh             builds and runs
#   tests/image.sh --built     runs what was built before
#
# Skips, and says so, where it is not root or the tools are absent (Debian packages:
# buildah podman runc curl; debootstrap where no registry can be reached). Takes long: the
# release build is in it. WORK keeps images between calls (default
# /var/tmp/nexus-dirsync-image, some 5 GB); remove it with `rm -rf` when done.
set -eu
cd "$(dirname "$0")/.."

WORK=${WORK:-/var/tmp/nexus-dirsync-image}
BASE=docker.io/library/rust:1-bookworm
IMAGE=localhost/nexus-dirsync:test
NAME=nexus-dirsync-image-test
TENANT=11111111-2222-4333-8444-555555555555
CLIENT=b1acb0b0-0000-4000-8000-000000000001

say() { printf '\n== %s\n' "$*"; }
die() { printf 'tests/image.sh: %s\n' "$*" >&2; exit 1; }
skip() { say "skipped: $*"; exit 0; }

[ "$(id -u)" = 0 ] || skip "the image is built and run as root here"
for tool in buildah podman runc curl; do
    command -v "$tool" >/dev/null 2>&1 || skip "$tool is not installed"
done
mkdir -p "$WORK"
build() { nice buildah --storage-driver overlay --root "$WORK/storage" --runroot "$WORK/run" "$@"; }
run() { podman --storage-driver overlay --root "$WORK/storage" --runroot "$WORK/run" --runtime runc "$@"; }

# Stands in for the official image where no registry can be reached: the same Debian from
# its own packages, with the toolchain of this machine.
stand_in() {
    command -v debootstrap >/dev/null 2>&1 || skip "neither a registry nor debootstrap is there"
    mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null)
    [ -n "$mirror" ] || skip "no Debian mirror is known"
    [ -d "$WORK/debian" ] || nice debootstrap --variant=minbase bookworm "$WORK/debian" "$mirror" >/dev/null
    container=$(build from scratch)
    build add -q "$container" "$WORK/debian" / >/dev/null
    build config --env PATH=/usr/local/rustup/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        --env CARGO_HOME=/usr/local/cargo "$container"
    build run --isolation chroot "$container" -- rm -f /etc/apt/sources.list
    build copy -q "$container" /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/debian.sources >/dev/null
    build run --isolation chroot "$container" -- sh -c \
        'apt-get update -q && apt-get install -y -q --no-install-recommends gcc libc6-dev ca-certificates make perl' >/dev/null
    for part in bin lib; do
        build copy -q "$container" "$(rustc --print sysroot)/$part" "/usr/local/rustup/$part" >/dev/null
    done
    build commit -q --rm "$container" "$BASE" >/dev/null
}

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
if [ "${1:-}" != --built ]; then
    if ! build inspect --type image "$BASE" >/dev/null 2>&1; then
        say "base: $BASE"
        build pull -q "$BASE" >/dev/null 2>&1 || stand_in
    fi
    say "build"
    # Whoever trusts an authority of their own for the way to the crates needs it in there.
    ca=/etc/ssl/certs/ca-certificates.crt
    build bud --isolation chroot --pull-never --layers --format docker -v "$ca:$ca:ro" \
        --build-arg VERSION="$version" --build-arg REVISION="$revision" \
        --build-arg CREATED="$(date -u +%Y-%m-%dT%H:%M:%SZ)" -t "$IMAGE" .
fi

label() { run image inspect --format "{{ index .Labels \"org.opencontainers.image.$1\" }}" "$IMAGE"; }
[ "$(label version)" = "$version" ] || die "the image is of version $(label version), the source of $version"
revision=$(label revision)

# The surroundings: a simulated Graph, and a folder for the embedded database.
say "surroundings"
cargo build -q --locked -p graph-simulator
scratch=$(mktemp -d)
simulator=
cleanup() {
    run rm -f "$NAME" >/dev/null 2>&1 || true
    [ -z "$simulator" ] || kill "$simulator" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT
target/debug/graph-simulator --users 300 --groups 30 --memberships 1500 \
    --client-id "$CLIENT" --client-secret image-test-secret >"$scratch/simulator" &
simulator=$!
wait_for() { # what, command…
    what=$1; shift
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || { run logs "$NAME" 2>&1 | tail -20; die "$what: not within 60 s"; }
        sleep 0.2
    done
}
wait_for "the simulator listens" grep -q listening "$scratch/simulator"
graph=$(sed -n 's/^listening on //p' "$scratch/simulator")
mkdir -m 0700 "$scratch/data" "$scratch/secrets"
printf %s image-test-secret >"$scratch/secrets/graph"
chmod 0400 "$scratch/secrets/graph"
chown -R 65532:65532 "$scratch/data" "$scratch/secrets"
port=$((20000 + $$ % 10000))

# As a pod that passes the restricted standard: nothing but the data can be written.
hardened() {
    run run --pull=never --network=host --read-only --read-only-tmpfs=false --cap-drop=ALL \
        --security-opt no-new-privileges --no-healthcheck --ulimit nofile=4096:8192 \
        --ulimit nproc=4096:4096 --memory 128m \
        -v "$scratch/data:/var/lib/nexus-dirsync" -v "$scratch/secrets:/run/secrets:ro" \
        -e DIRSYNC__GRAPH__ENDPOINT="$graph" -e DIRSYNC__IDENTITY__AUTHORITY="$graph" \
        -e DIRSYNC__IDENTITY__TENANT_ID="$TENANT" -e DIRSYNC__IDENTITY__CLIENT_ID="$CLIENT" \
        -e DIRSYNC__IDENTITY__CLIENT_SECRET_FILE=/run/secrets/graph \
        -e DIRSYNC__SCOPE__GROUPS=all -e DIRSYNC__HTTP__LISTEN="127.0.0.1:$port" "$@"
}
ends_with() { # code, arguments…
    expected=$1; shift
    code=0
    hardened --rm "$@" >"$scratch/said" 2>&1 || code=$?
    [ "$code" = "$expected" ] || { cat "$scratch/said"; die "$*: ended with $code, not $expected"; }
}
must() { # what, command…
    what=$1; shift
    "$@" >/dev/null 2>&1 || die "$what"
}
says() { # text, command…
    text=$1; shift
    "$@" >"$scratch/said" 2>&1 || { cat "$scratch/said"; die "$*: failed"; }
    grep -q -- "$text" "$scratch/said" || { cat "$scratch/said"; die "$*: does not say $text"; }
}

say "exit codes as process 1"
ends_with 0 "$IMAGE" --version
grep -q "nexus-dirsync $version ($revision)" "$scratch/said" || die "--version says $(cat "$scratch/said")"
ends_with 2 "$IMAGE" demo # the simulator is not in it
ends_with 2 -e DIRSYNC__GRAPH__PAGE_SIZE=many "$IMAGE" run
ends_with 1 "$IMAGE" migrate --check
ends_with 0 "$IMAGE" migrate
ends_with 0 "$IMAGE" check
ends_with 0 "$IMAGE" sync --dry-run
for shell in /bin/sh /bin/bash /usr/bin/env /bin/ls; do
    ! hardened --rm --entrypoint "$shell" "$IMAGE" >/dev/null 2>&1 || die "$shell is in the image"
done

say "the daemon"
began=$(date +%s%3N)
hardened -d --name "$NAME" "$IMAGE" >/dev/null
ready() { curl -fsS "http://127.0.0.1:$port/readyz"; }
wait_for "the daemon is ready" ready
ready_ms=$(($(date +%s%3N) - began))
succeeded() { run exec "$NAME" nexus-dirsync status; }
wait_for "the first run succeeds" succeeded

pid=$(run inspect --format '{{.State.Pid}}' "$NAME")
field() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"; }
[ "$(field Uid | tr '\t' ' ')" = "65532 65532 65532 65532" ] || die "it runs as $(field Uid)"
[ "$(field NSpid | awk '{ print $NF }')" = 1 ] || die "it is not process 1"
[ "$(field CapEff)$(field CapPrm)$(field CapBnd)" = 000000000000000000000000000000000000000000000000 ] || die "it has capabilities"
[ "$(field NoNewPrivs)" = 1 ] || die "it may gain privileges"
must "the root file system is read-only" grep -q ' / ro[, ]' "/proc/$pid/mountinfo"
metrics() { curl -fsS "http://127.0.0.1:$port/metrics"; }
says "dirsync_build_info{revision=\"$revision\",version=\"$version\"} 1" metrics
says 'dirsync_objects{kind="users"} [1-9]' metrics

say "commands beside it, without a shell"
says 'leads' run exec "$NAME" nexus-dirsync status
says 'was asked for a full run' run exec "$NAME" nexus-dirsync resync --full
full_run() { metrics | grep -q 'dirsync_runs_total{mode="full",outcome="unchanged",trigger="signal"} 1'; }
wait_for "the full run ends" full_run
says ' 0 differences' run exec "$NAME" nexus-dirsync audit verify
[ "$(run top "$NAME" pid | wc -l)" = 2 ] || { run top "$NAME"; die "processes were left behind"; }
resident=$(metrics | awk '$1 == "process_resident_memory_bytes" { printf "%.1f MB", $2 / 1e6 }')

say "a stop"
began=$(date +%s%3N)
run stop -t 30 "$NAME" >/dev/null
stop_ms=$(($(date +%s%3N) - began))
code=$(run inspect --format '{{.State.ExitCode}}' "$NAME")
[ "$code" = 0 ] || { run logs "$NAME" 2>&1 | tail -5; die "TERM ended it with $code"; }
run logs "$NAME" 2>&1 | grep -q '"stopped"' || die "it did not end by itself"

size=$(run image inspect --format '{{.Size}}' "$IMAGE" | awk '{ printf "%.1f MB", $1 / 1e6 }')
say "all good: image $size, resident $resident after a first run of 300 users, ready after $ready_ms ms, stopped within $stop_ms ms"
