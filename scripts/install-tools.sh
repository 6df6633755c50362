#!/bin/sh
# Installs the programs that meshdns is built, tested and measured with, from Debian's packages:
#
#   scripts/install-tools.sh build           what `make run` needs besides Rust
#   scripts/install-tools.sh build test      what `make test` needs
#   scripts/install-tools.sh bench lint      what `make bench` and `make lint` need
#
# Installs nothing that is there already. As root, or where sudo asks for no password, the packages are installed.
# Otherwise they are unpacked below target/tools, which needs no rights; the Makefile puts target/tools/bin on the PATH.
# A compiler can't be unpacked: where it is missing the script says what to type, and fails.
#
# Starts no service: the servers are run as plain processes by the tests, on loopback ports of their choice. And
# systemd-resolved is unpacked even by root: its package, installed, takes over this machine's own /etc/resolv.conf.
set -eu

cd "$(dirname "$0")/.."
tools="$PWD/target/tools"

# One line per program: group, program (or a file below /usr that stands for a library, or `linking`), Debian package, what
# it is for.
wanted() {
    cat <<'TABLE'
build cc gcc compiles what is written in C, and links every program
build linking libc6-dev has what every program is linked with
test dig bind9-dnsutils asks questions as a person does
test kdig knot-dnsutils asks over TLS, HTTPS and QUIC
test ip iproute2 makes networks for tests/interop
test dnsmasq dnsmasq-base forwards to meshdns
test named bind9 forwards to meshdns
test unbound unbound forwards to meshdns
test systemd-resolved systemd-resolved forwards to meshdns
test etcd etcd-server keeps what Kubernetes' API server is told in tests/kubernetes
test python3 python3 plays the VMs of docs/health.md
test chromium chromium opens the status pages
test chromedriver chromium-driver drives it
test node nodejs runs npm
test npm npm fetches axe-core, which looks at the status pages
test musl-gcc musl-tools has the C library of Alpine
test /usr/include/ares.h libc-ares-dev looks names up for programs in C
bench dnsperf dnsperf makes the load
bench knotd knot is measured beside meshdns
bench nsd nsd is measured beside meshdns
bench named bind9 is measured beside meshdns
bench unbound unbound is measured beside meshdns
instructions valgrind valgrind counts the instructions of a query
fuzz c++ g++ compiles libFuzzer
circles python3 python3 looks for circles between files
lint shellcheck shellcheck reads the scripts
TABLE
}

# Debian keeps servers in /usr/sbin, which is not on everyone's PATH.
has() {
    case $1 in
    linking) printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | cc -x c -o /dev/null - 2>/dev/null ;;
    /*) [ -e "$1" ] || [ -e "$tools/root$1" ] ;;
    *) PATH="$tools/bin:$PATH:/usr/sbin:/sbin:/usr/lib/systemd:/lib/systemd" command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# Prints the packages whose program is missing, once each.
missing() {
    for group in "$@"; do
        wanted | while read -r of program package _; do
            if [ "$of" = "$group" ] && ! has "$program"; then
                echo "$package"
            fi
        done
    done | sort -u
}

# Installs into the system; `$sudo` is `sudo` or nothing.
install_packages() {
    install="env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends -qq $packages"
    # Debian starts a server when its package is installed, unless this file says that nothing may be started.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap '$sudo rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
        $sudo chmod 755 "$policy"
    fi
    # Package lists can be absent, or so old that they name versions which are gone: fresh ones help in both cases.
    # shellcheck disable=SC2086 # command lines
    $sudo $install >/dev/null 2>&1 || {
        $sudo apt-get update -qq
        log=$($sudo $install 2>&1) || {
            echo "$log" >&2
            exit 1
        }
    }
    # A server that was just installed shall not start at the next boot either.
    if [ -d /run/systemd/system ]; then
        for package in $packages; do
            case "$package" in
            knot | nsd | unbound) $sudo systemctl disable --quiet "$package" ;;
            bind9) $sudo systemctl disable --quiet named ;;
            etcd-server) $sudo systemctl disable --quiet etcd ;;
            esac
        done
    fi
}

# Unpacks the packages and what they depend on, with package lists and a cache of our own.
unpack_packages() {
    root="$tools/root"
    mkdir -p "$tools/bin" "$root" "$tools/apt/lists/partial" "$tools/apt/cache/archives/partial"
    apt="-o Dir::State::Lists=$tools/apt/lists -o Dir::Cache=$tools/apt/cache -o Debug::NoLocking=true"
    apt="$apt -o APT::Sandbox::User= -qq"
    # shellcheck disable=SC2086 # options
    apt-get $apt update
    # shellcheck disable=SC2086 # options, a list of package names
    apt-get $apt --yes --no-install-recommends --download-only install $packages >/dev/null
    for archive in "$tools"/apt/cache/archives/*.deb; do
        dpkg-deb --extract "$archive" "$root"
    done
    libraries=$(find "$root" -name '*.so*' -exec dirname {} + | sort -u | paste -sd:)
    wanted | while read -r _ program _; do
        for folder in usr/bin usr/sbin sbin usr/lib/systemd lib/systemd; do
            file="$root/$folder/$program"
            [ -x "$file" ] || continue
            printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$libraries" "$file" >"$tools/bin/$program"
            chmod 755 "$tools/bin/$program"
        done
    done
}

case " $* " in
*" build "*)
    if ! command -v cargo >/dev/null 2>&1; then
        echo "there is no cargo on the PATH: please install Rust with rustup (https://rustup.rs), and run this again" >&2
        exit 1
    fi
    ;;
esac
packages=$(missing "$@" | paste -sd' ')
if [ -z "$packages" ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing, and this is no Debian: please install what Debian calls $packages" >&2
    exit 1
fi
sudo=
if [ "$(id -u)" != 0 ]; then
    sudo=sudo
fi
if [ -z "$sudo" ] || { command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; }; then
    echo "installing $packages" >&2
    all=$packages
    packages=$(echo "$all" | tr ' ' '\n' | grep -vx systemd-resolved | paste -sd' ' || true)
    if [ -n "$packages" ]; then
        install_packages
    fi
    packages=$(echo "$all" | tr ' ' '\n' | grep -x systemd-resolved || true)
fi
if [ -n "$packages" ]; then
    compiler=$(missing build | paste -sd' ')
    if [ -n "$compiler" ]; then
        echo "nothing can be built without a C compiler: please run, as root: apt-get install $compiler" >&2
        exit 1
    fi
    echo "unpacking $packages below target/tools" >&2
    unpack_packages
fi
still=$(missing "$@" | paste -sd' ')
if [ -n "$still" ]; then
    echo "could not install $still: please run, as root: apt-get install $still" >&2
    exit 1
fi
