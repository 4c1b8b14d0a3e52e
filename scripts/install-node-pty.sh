#!/usr/bin/env bash
# Installs node-pty and ws, beside which `make bench` measures. node-pty is compiled here. Where that does not work, one line
# says so, and the benchmark leaves them out.
set -euo pipefail
cd "$(dirname "$0")/../bench/peers/node-pty"

installed=node_modules/.package-lock.json
if [ "$installed" -nt package-lock.json ] && [ "$installed" -nt package.json ]; then
    exit 0
fi
log=${CARGO_TARGET_DIR:-../../../target}/node-pty-install.log
mkdir -p "${log%/*}"
install() {
    ../../../scripts/require-node.sh
    # Node's own headers, where they are installed beside it: else node-gyp fetches them.
    prefix=$(node -p 'require("path").resolve(process.execPath, "../..")')
    if [ -e "$prefix/include/node/node_api.h" ]; then
        export npm_config_nodedir=$prefix
    fi
    npm ci --no-fund --no-audit --loglevel=error
}
echo "Installing node-pty and ws for the benchmark"
if (set -e; install) >"$log" 2>&1; then
    touch "$installed"
else
    rm -rf node_modules
    echo "node-pty and ws cannot be installed and will be left out: $(realpath "$log") says why" >&2
fi
