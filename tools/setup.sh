#!/usr/bin/env bash
# Makes this checkout ready to run: Debian packages, .venv with the locked dependencies, the public image.
# Quick when there is nothing to do; every step looks first. Usage: tools/setup.sh
#
#   PYTHON=python3.12     the Python to make .venv with (3.11 or newer; default python3)
#   SKIP_PACKAGES=1       the Debian packages, or what stands for them on another system, are there
set -euo pipefail
cd "$(dirname "$0")/.."

# One set-up of a checkout at a time: make demo and make test may be started together.
mkdir -p .stamps
exec 9>.stamps/lock
flock 9

python=${PYTHON:-python3}

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Runs a step and says how long it took.
step() {
    local title=$1 start=$SECONDS
    shift
    printf 'setup: %s ...\n' "$title"
    "$@"
    printf 'setup: %s: done in %s s\n' "$title" $((SECONDS - start))
}

# A stamp lives in .venv, so it goes when .venv goes; its content is a digest of what the step was made from.
stamp_is() { [ "$(cat ".venv/stamps/$1" 2>/dev/null)" = "$2" ]; }
write_stamp() { mkdir -p .venv/stamps && printf '%s\n' "$2" >".venv/stamps/$1"; }
digest() { cat "$@" | sha256sum | cut -d ' ' -f 1; }

wanted_packages() {
    sed 's/#.*//' tools/apt-packages.txt | xargs -n 1
    command -v "$python" >/dev/null || { printf 'python3\npython3-venv\n'; return; }
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

missing_packages() {
    comm -23 <(wanted_packages | sort -u) \
        <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u)
}

ensure_packages() {
    [ -z "${SKIP_PACKAGES:-}" ] || return 0
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        fail "no apt here. Install what these Debian packages hold, then run SKIP_PACKAGES=1 make setup:" \
            "$(wanted_packages | xargs)"
    fi
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || fail "packages are missing. Run: sudo apt-get install --no-install-recommends ${missing[*]}"
    step "Debian packages" install_packages "${missing[@]}"
}

install_packages() {
    apt_get update
    if [[ " $* " == *" postgresql "* ]]; then without_main_cluster apt_get install "$@"; else apt_get install "$@"; fi
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
        --no-install-recommends --yes "$@" >.stamps/apt.log 2>&1 </dev/null || { tail -n 30 .stamps/apt.log >&2; fail "apt-get $1 failed"; }
}

# Debian would set up and start a PostgreSQL server on port 5432, which the tests neither need nor want to disturb.
without_main_cluster() {
    local mark='create_main_cluster = false # while stillframe is set up'
    apt_get install postgresql-common
    echo "$mark" >>/etc/postgresql-common/createcluster.conf
    trap 'sed -i "/# while stillframe is set up\$/d" /etc/postgresql-common/createcluster.conf' EXIT
    "$@"
}

make_venv() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$python is older than 3.11"
    # A .venv of another Python is made anew; one we did not make keeps what is in it.
    if [ -e .venv/stamps/venv ]; then rm -rf .venv; fi
    "$python" -m venv .venv
    # uv's own lines of the lock: the name in the first column, its hashes indented below.
    awk '/^[^ ]/ { wanted = /^uv==/ } wanted' requirements.lock >.venv/uv.lock
    .venv/bin/pip --quiet --disable-pip-version-check install --no-deps --require-hashes -r .venv/uv.lock
}

# uv asks the index that pip is set to, and nothing when pip is set to nothing.
uv_pip() { env ${PIP_INDEX_URL:+"UV_DEFAULT_INDEX=$PIP_INDEX_URL"} .venv/bin/uv pip "$@" --quiet --python .venv/bin/python; }

# Not "sync", which would remove pip and what a developer has added.
install_locked() {
    uv_pip install --no-deps --require-hashes -r requirements.lock
    compile .venv/lib/python*/site-packages
}

# The first start would do it, and take seconds longer; where PYTHONDONTWRITEBYTECODE is set, as in many containers,
# every start. Some libraries bring files that are templates and cannot be compiled.
compile() { .venv/bin/python -m compileall -q -j 0 "$@" >/dev/null || true; }

install_package() {
    uv_pip install --no-deps --no-build-isolation --editable .
    uv_pip check || fail "requirements.lock does not cover pyproject.toml: run make lock"
}

ensure_venv() {
    local venv lock package
    venv=$("$python" -c 'import sys; print(sys.base_prefix, sys.version)' | sha256sum)
    lock="$(digest requirements.lock) compiled"
    package="$(digest pyproject.toml) $PWD"
    # Plain ifs: bash forgets "set -e" in whatever stands left of || or &&.
    if ! stamp_is venv "$venv"; then
        step "virtual environment" make_venv
        write_stamp venv "$venv"
    fi
    if ! stamp_is lock "$lock"; then
        step "locked dependencies" install_locked
        write_stamp lock "$lock"
    fi
    if ! stamp_is package "$package"; then
        step "stillframe itself" install_package
        write_stamp package "$package"
    fi
}

# supermin, which builds the appliance of libguestfs, copies this directory's owner and mode, and stops where it is
# missing, as in containers and on machines whose kernel comes from outside; what is in it does not matter.
ensure_modules_directory() {
    [ ! -d /lib/modules ] || return 0
    command -v supermin >/dev/null || return 0
    [ "$(id -u)" = 0 ] || fail "supermin needs a directory that is missing. Run: sudo mkdir /lib/modules"
    mkdir /lib/modules
}

ensure_packages
ensure_modules_directory
ensure_venv
compile src
image=$(.venv/bin/python -m stillframe.guest) || exit 1
printf 'setup: .venv/bin/stillframe is ready after %s s (public image: %s)\n' "$SECONDS" "$image"
