#!/usr/bin/env bash
# Installs the Debian packages that building (build), testing (test) or measuring (bench) needs and that are not there.
# Does nothing, and needs neither root nor network, when every command is found.
set -euo pipefail

# command:package, for each purpose. With unterm comes libvterm, which the tests of the screen call.
build="cc:build-essential"
test="chromium:chromium vim:vim less:less perl:perl python3:python3 ps:procps top:procps stty:coreutils setsid:util-linux htop:htop tmux:tmux git:git zsh:zsh fish:fish unterm:libvterm-bin initdb:postgresql redis-server:redis-server"
bench="ssh:openssh-client ssh-keygen:openssh-client sshd:openssh-server python3:python3"

case "${1:-}" in
build) wanted=$build ;;
test) wanted="$build $test" ;;
bench) wanted="$build $bench" ;;
*)
    echo "usage: $0 build|test|bench" >&2
    exit 2
    ;;
esac

# sshd and useradd live where an ordinary user's PATH does not reach, and PostgreSQL's programs where nobody's does.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
for directory in /usr/lib/postgresql/*/bin; do
    PATH=$PATH:$directory
done
missing=()
for pair in $wanted; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
# What makes Python environments is a package of its own, and no command.
if [ "$1" = test ] && ! python3 -c 'import ensurepip' 2>/dev/null; then
    missing+=(python3-venv)
fi
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

if ! command -v apt-get >/dev/null; then
    echo "Please install what these Debian packages hold: ${missing[*]}" >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n env)
else
    echo "Missing packages. Please run: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

wants() {
    printf '%s\n' "${missing[@]}" | grep -qx "$1"
}

echo "Installing: ${missing[*]}"
# Services are not to start, now or with the machine: tests and benchmarks start servers of their own, in directories and on
# ports of their own. RUNLEVEL=1 keeps invoke-rc.d from starting any.
cluster_conf=/etc/postgresql-common/createcluster.conf
if wants postgresql && [ ! -e "$cluster_conf" ]; then
    # Else the package makes a database cluster that nobody asked for.
    "${as_root[@]}" mkdir -p "${cluster_conf%/*}"
    "${as_root[@]}" sh -c "echo 'create_main_cluster = false' >$cluster_conf"
    trap '"${as_root[@]}" rm -f "$cluster_conf"' EXIT
fi
apt=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=300)
install=("${apt[@]}" install -y --no-install-recommends "${missing[@]}")
if ! "${install[@]}"; then
    # The lists of packages may be old or not there at all.
    "${apt[@]}" update
    "${install[@]}"
fi
if [ -d /run/systemd/system ]; then
    if wants openssh-server; then
        # Nobody asked for a machine that can be logged in to after the next start.
        "${as_root[@]}" systemctl disable --quiet ssh.service ssh.socket || true
    fi
    for service in postgresql redis-server; do
        if wants "$service"; then
            "${as_root[@]}" systemctl disable --quiet --now "$service.service" || true
        fi
    done
fi
