# `scripts/test fresh [demo|test]`: what a newcomer sees. HEAD is cloned into a bare Debian 12 (debootstrap, minbase, git
# and CA certificates), and there one command is run, with an empty environment: `sh scripts/demo --json` in one such
# root, `sh scripts/test` in another. Needs root. The first run keeps its debootstrap in build/fresh; each root is a
# copy of it that is gone afterwards, as are its processes and mounts. The machine's network, name resolution, CA
# certificates and settings for apt and pip hold inside too.
#     MIRROR  where Debian comes from (http://deb.debian.org/debian)
set -eu

BASE=$PWD/build/fresh/bookworm
PASSED_ON="PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT PIP_CERT SSL_CERT_FILE
    REQUESTS_CA_BUNDLE http_proxy https_proxy no_proxy"
AUTHORITIES=/etc/ssl/certs/ca-certificates.crt

if [ "$(id -u)" != 0 ]; then
    echo "heartbeat: a fresh Debian is made and entered by root only" >&2
    exit 1
fi
if ! command -v debootstrap >/dev/null; then
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends debootstrap
fi >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

if [ ! -d "$BASE" ]; then
    echo "== debootstrap" >&2
    mkdir -p "${BASE%/*}"
    debootstrap --variant=minbase --include=git,ca-certificates bookworm "$work/base" "${MIRROR-http://deb.debian.org/debian}" >&2
    mv "$work/base" "$BASE"
fi

# The machine's own ways to reach the network, in the root $1.
settle() {
    cp /etc/resolv.conf /etc/hosts "$1/etc/"
    cp "$AUTHORITIES" "$1$AUTHORITIES"
    apt-config dump | grep -E '^Acquire::(http|https|Check-|Retries)' >"$1/etc/apt/apt.conf.d/90machine" || true
    if [ -f /etc/pip.conf ]; then cp /etc/pip.conf "$1/etc/"; fi
}

# Run a command in the clone of the root $1, in namespaces of its own: when this ends, all of it ends.
enter() {
    root=$1
    shift
    for name in $PASSED_ON; do
        eval "value=\${$name-}"
        if [ -n "$value" ]; then set -- "$name=$value" "$@"; fi
    done
    unshare --mount --pid --fork --kill-child --uts --ipc sh -ec '
        mount --bind "$1" "$1"
        cd "$1"
        mount -t proc proc proc
        mount -t sysfs sysfs sys
        mount -t tmpfs tmpfs run
        mount -t tmpfs tmpfs tmp
        mount --rbind /dev dev
        mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
        hostname newcomer
        shift
        exec chroot . /usr/bin/env -i -C /srv/heartbeat "HOME=/root" "TERM=${TERM-dumb}" \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
    ' enter "$root" "$@" </dev/null
}

# A clone in a root of its own, and one command there.
newcomer() {
    echo "== a newcomer: sh $*" >&2
    rm -rf "$work/root"
    cp -a "$BASE" "$work/root"
    settle "$work/root"
    git clone --quiet --no-hardlinks . "$work/root/srv/heartbeat"
    enter "$work/root" sh "$@"
}

what=${1-all}
case $what in
    demo | all)
        newcomer scripts/demo --json >"$work/demo.json"
        cat "$work/demo.json"
        # exactly one JSON object on stdout
        python3 -c 'import json, sys; sys.exit(json.load(sys.stdin)["ok"] is not True)' <"$work/demo.json"
        ;;
esac
case $what in
    test | all) newcomer scripts/test ;;
esac
