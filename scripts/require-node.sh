#!/usr/bin/env bash
# Says in words that Node is missing or too old to build the page, before npm does it otherwise.
set -euo pipefail

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "DevPocket's page is built with Node.js 18.20 or newer and npm: please install them." >&2
    exit 1
fi
if ! node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 18 || (major === 18 && minor >= 20) ? 0 : 1)'; then
    echo "DevPocket's page is built with Node.js 18.20 or newer; this is $(node --version)." >&2
    exit 1
fi
