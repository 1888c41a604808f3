# Sourced by demo and test, from the clone: `prepare EXTRA` sees to all that the program needs (EXTRA: "" to run it,
# "dev" to test it too): Debian packages if they are missing, then the program, built, in the clone's own .venv.
# It says everything on stderr. When all is there it takes a fraction of a second.

PACKAGES="python3 python3-venv python3-dev gcc libc6-dev"
# what renders the manual pages, and what a router has for its firewall
PACKAGES_TO_TEST="groff-base nftables"

say() {
    echo "heartbeat: $*" >&2
}

# The machine's own Python before one in somebody's home: daemons and tests run as other users too.
python=$(command -v /usr/bin/python3 || command -v python3 || echo /usr/bin/python3)
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || python=python3

# What the packages are for, asked of the machine itself: it may have it from elsewhere.
machine_ready() {
    "$python" - 2>/dev/null <<'END' || return 1
import ensurepip, os, sys, sysconfig, venv
sys.exit(sys.version_info < (3, 11) or not os.path.exists(sysconfig.get_path("include") + "/Python.h"))
END
    printf '#include <stdio.h>\n#include <linux/rtnetlink.h>\n' | gcc -E - >/dev/null 2>&1 || return 1
    [ -z "$1" ] || { command -v groff && PATH=$PATH:/usr/sbin command -v nft; } >/dev/null
}

install_packages() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "something is missing on this machine; this installs it:"
        echo "    sudo apt-get install --no-install-recommends $PACKAGES" >&2
        exit 1
    fi
    say "installing $PACKAGES"
    {
        apt-get -qq update
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $PACKAGES
    } >&2
}

# What an installation is made from: when any of it changes, or the clone moves, it is made again.
fingerprint() {
    {
        pwd
        "$python" --version
        cat pyproject.toml setup.py heartbeat/kernel_build.py _hbfast/*.p[yx]*
    } | sha256sum
}

prepare() {
    # two runs in one clone: the second waits for what the first installs
    exec 9<.
    flock 9
    [ -z "$1" ] || PACKAGES="$PACKAGES $PACKAGES_TO_TEST"
    machine_ready "$1" || install_packages
    made_from=$(fingerprint)
    stamp=.venv/made-from${1:+-$1}
    if [ "$(cat "$stamp" 2>/dev/null)" != "$made_from" ]; then
        say "building in $PWD/.venv"
        {
            [ "$(.venv/bin/python -c 'import sys; print(sys.prefix)' 2>/dev/null)" = "$PWD/.venv" ] ||
                "$python" -m venv --clear .venv
            .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".${1:+[$1]}"
        } >&2
        echo "$made_from" >"$stamp"
        # what suffices for testing suffices for running
        echo "$made_from" >.venv/made-from
    fi
    exec 9<&-
}
