# What the scripts share: where things are, and how what is missing is fetched.
# Sourced by bash from the other scripts; it does nothing by itself.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_root=${OCFD_BUILD_DIR:-$root/build}

# PACKAGE or PACKAGE:COMMAND: the latter is there as well when the command is, wherever it came from.
packages_build=(gcc libc6-dev pkg-config:pkg-config meson:meson ninja-build:ninja python3:python3
    libcbor-dev libsystemd-dev libuv1-dev libsqlite3-dev libssl-dev libinih-dev libjansson-dev libmnl-dev)
packages_demo=(dbus-daemon:dbus-daemon libcoap3-bin:coap-client-notls iproute2:ip)
packages_test=(libcmocka-dev clang-14:clang-14 libclang-rt-14-dev llvm-14:llvm-symbolizer-14 clang-format-14:clang-format-14
    valgrind:valgrind dbus-broker:dbus-broker systemd:systemd-analyze python3-dbus python3-gi nodejs:node npm:npm
    polkitd:pkttyagent groff:groff man-db:man git:git python3-pip:pip3 golang-go:go
    zsh:zsh fish:fish libgnutls28-dev libmbedtls-dev openssl:openssl swtpm:swtpm tpm2-tools:tpm2_import tpm2-openssl)

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

is_there() {
    local package=${1%%:*} command=${1#*:}

    if [ "$command" != "$1" ] && command -v "$command" >/dev/null; then
        return 0
    fi
    command -v dpkg-query >/dev/null && [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ]
}

# Installs those of its arguments that are missing, and nothing else.
install_missing() {
    local item missing=() as_root=() log

    for item in "$@"; do
        is_there "$item" || missing+=("${item%%:*}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ -n "${OCFD_NO_INSTALL:-}" ] || ! command -v apt-get >/dev/null; then
        die "missing here, please install: ${missing[*]} (names as in Debian 12)"
    fi
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
            die "some packages are missing and I may not install them. As root: apt-get install --no-install-recommends ${missing[*]}"
        fi
        as_root=(sudo)
    fi
    say "Installing ${#missing[@]} packages that are missing: ${missing[*]}"
    log=$(mktemp)
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 </dev/null ||
        ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
            --no-install-recommends install "${missing[@]}" >>"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install them; what it said last is above"
    fi
    rm -f "$log"
}

# build_in NAME MESON-OPTIONS...: configures $build_root/NAME once and compiles, all or $build_targets; quiet unless it fails.
build_in() {
    local directory=$build_root/$1 log
    shift

    mkdir -p "$directory"
    log=$directory.log
    if [ -f "$directory/build.ninja" ]; then
        meson configure "$directory" "$@" >"$log" 2>&1
    else
        meson setup "$directory" "$root" "$@" >"$log" 2>&1
    fi && ninja -C "$directory" ${build_targets:-} >>"$log" 2>&1 || {
        grep -E -A 12 'error:|ERROR:|FAILED:|undefined reference' "$log" | head -n 60 >&2
        say "The whole log is in $log" >&2
        return 1
    }
}
