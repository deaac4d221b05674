# The Debian 12 packages that building, testing and showing Strid need. Sourced by tools/test and
# tools/demo; the single list of the project.

STRID_PACKAGES_BUILD="cmake ninja-build pkg-config gcc g++ python3 ca-certificates
    librocksdb-dev libck-dev libsimdjson-dev libyaml-dev libpcre2-dev libxxhash-dev
    libhiredis-dev libssl-dev librdkafka-dev"
STRID_PACKAGES_TEST="libcriterion-dev clang clang-format clang-tidy libclang-rt-14-dev binutils
    redis-server maven openjdk-17-jre-headless openssl"

# Installs what is missing of the packages given; needs no network where nothing is missing.
packages_install() {
    packages_missing=
    for package in "$@"; do
        if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
            packages_missing="$packages_missing $package"
        fi
    done
    [ -n "$packages_missing" ] || return 0

    if ! command -v apt-get >/dev/null; then
        echo "strid: apt-get is missing: on Debian 12 it would install:$packages_missing" >&2
        return 1
    fi
    packages_root=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "strid: these packages are missing and neither root nor sudo is at hand:" \
                "$packages_missing" >&2
            echo "strid: as root: apt-get install$packages_missing" >&2
            return 1
        fi
        packages_root=sudo
    fi
    echo "strid: installing$packages_missing" >&2
    # Errors are on standard error; what is unpacked would bury them. Another apt-get is waited for.
    if ! $packages_root apt-get update -qq -o DPkg::Lock::Timeout=120 >/dev/null ||
        ! $packages_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 --no-install-recommends \
            $packages_missing >/dev/null; then
        echo "strid: apt-get failed. Is the network there, and is this Debian 12? Missing:" \
            "$packages_missing" >&2
        return 1
    fi
}
