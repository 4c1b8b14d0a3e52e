#!/usr/bin/env bash
# Installs node-pty and ws, beside which `make bench` measures. node-pty is compiled here. Where that does not work, one line
# says so, and the benchmark leaves them out.
set -euo pipefail
cd "$(dirname "$0")/.."

directory=bench/peers/node-pty
installed=$directory/node_modules/.package-lock.json
if [ "$installed" -nt "$directory/package-lock.json" ] && [ "$installed" -nt "$directory/package.json" ]; then
    exit 0
fi

install() {
    scripts/require-node.sh || return
    # Node's own headers, where they are installed beside it: else node-gyp fetches them.
    local prefix
    prefix=$(node -p 'require("path").resolve(process.execPath, "../..")') || return
    if [ -e "$prefix/include/node/node_api.h" ]; then
        export npm_config_nodedir=$prefix
    fi
    (cd "$directory" && npm ci --no-fund --no-audit --loglevel=error)
}

log=${CARGO_TARGET_DIR:-target}/node-pty-install.log
mkdir -p "${log%/*}"
echo "Installing node-pty and ws for the benchmark"
if install >"$log" 2>&1; then
    touch "$installed"
else
    rm -rf "$directory/node_modules"
    echo "node-pty and ws, beside which the benchmark measures, cannot be installed here: see $log" >&2
fi
