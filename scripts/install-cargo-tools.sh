#!/usr/bin/env bash
# Installs the named cargo tools that are not there, each in the version the repository was last checked with. A tool
# that is there is taken as it is.
set -euo pipefail

for tool in "$@"; do
    if command -v "$tool" >/dev/null; then
        continue
    fi
    # Fewer features than by default: nothing here updates itself or fetches over the network.
    case "$tool" in
    cargo-nextest) options=(--version 0.9.143 --no-default-features --features default-no-update) ;;
    cargo-deny) options=(--version 0.20.2 --no-default-features) ;;
    cargo-machete) options=(--version 0.9.2) ;;
    *)
        echo "$0 does not know $tool" >&2
        exit 2
        ;;
    esac
    echo "Installing $tool (once, some minutes)"
    cargo install --quiet --locked "${options[@]}" "$tool"
done
