#!/usr/bin/env bash
# Installs schemathesis, as tests/schemathesis/requirements.txt pins it, into an environment of its own under the target
# directory. Does nothing, and needs no network, when it is there in those versions.
set -euo pipefail

cd "$(dirname "$0")/.."
requirements=tests/schemathesis/requirements.txt
directory=${CARGO_TARGET_DIR:-target}/schemathesis
if cmp --silent "$requirements" "$directory/installed.txt"; then
    exit 0
fi
echo "Installing schemathesis (once)"
rm -rf "$directory"
python3 -m venv "$directory"
"$directory/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --requirement "$requirements"
# Last: a half-made environment is made again.
cp "$requirements" "$directory/installed.txt"
