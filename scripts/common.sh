# What the scripts beside this one share; sourced from the root of the repository.

# A shell that is no login shell may not know where rustup put things.
command -v cargo >/dev/null || PATH="$HOME/.cargo/bin:$PATH"

# Built once, from scratch, on few cores: incremental state and full debug information only cost time and disk.
export CARGO_INCREMENTAL=0
export CARGO_PROFILE_DEV_DEBUG=line-tables-only

fail() {
    printf '\n%s: %s\n' "$0" "$1" >&2
    exit 1
}

step() {
    printf '\n== %s\n' "$1"
}

# component SUBCOMMAND NAME: makes sure that `cargo SUBCOMMAND` runs, with rustup's component NAME where it is missing.
# Where that cannot be, it says so; CI fails then, and by hand the step is left out.
component() {
    cargo "$1" --version >/dev/null 2>&1 && return
    if command -v rustup >/dev/null && rustup component add "$2" && cargo "$1" --version >/dev/null 2>&1; then
        return
    fi
    if [[ -n ${CI:-} ]]; then
        fail "cargo $1 is missing and rustup cannot add the component $2"
    fi
    printf 'left out: cargo %s is missing and rustup cannot add the component %s\n' "$1" "$2" >&2
    return 1
}

# packages DEBIAN FEDORA ALPINE: installs packages of the distribution, each list by the names that they have there, where
# that is allowed without asking anybody.
packages() {
    local sudo=()
    ((EUID == 0)) || sudo=(sudo -n)
    if command -v apt-get >/dev/null; then
        # shellcheck disable=SC2086 # lists
        "${sudo[@]}" apt-get update -q && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q $1
    elif command -v dnf >/dev/null; then
        # shellcheck disable=SC2086
        "${sudo[@]}" dnf install -y -q $2
    elif command -v apk >/dev/null; then
        # shellcheck disable=SC2086
        "${sudo[@]}" apk add -q $3
    else
        return 1
    fi
}

# python_with_venv DIRECTORY: makes a virtual environment, with Python installed where it is missing or lacks what that
# takes (Debian's has no ensurepip of its own).
python_with_venv() {
    # A directory that is left of an attempt without ensurepip looks whole.
    make_venv() { rm -rf "$1" && python3 -m venv "$1" >/dev/null 2>&1 && "$1/bin/python" -m pip --version >/dev/null 2>&1; }
    make_venv "$1" && return
    packages "python3 python3-venv" "python3 python3-pip" "python3 py3-pip" >&2 && make_venv "$1" && return
    fail "Python 3.10 or newer with its module venv is missing (on Debian: apt-get install python3 python3-venv)"
}

# sdk: installs the official openai SDK for Python beside what is built, where tests/sdk.rs looks for it. Takes no time
# where the listed versions are there.
sdk() {
    local target home list=tests/sdk/requirements.txt
    target=$(cargo metadata --locked --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    home=${target:-target}/sdk
    if cmp -s "$list" "$home/installed.txt" && "$home/bin/python" -c "import openai" >/dev/null 2>&1; then
        return
    fi
    python_with_venv "$home"
    "$home/bin/python" -c "import sys; sys.exit(sys.version_info < (3, 10))" ||
        fail "the openai SDK needs Python 3.10 or newer, and $("$home/bin/python" --version) is what python3 is"
    "$home/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$list" ||
        fail "the openai SDK for Python cannot be installed; is there a way to PyPI from this machine?"
    cp "$list" "$home/installed.txt"
}

# browser: makes sure that there is a Chromium, which tests/credentials.rs signs in with.
browser() {
    has_browser() {
        local name
        for name in chromium chromium-browser google-chrome chrome; do
            command -v "$name" >/dev/null && return
        done
        return 1
    }
    has_browser && return
    packages chromium chromium chromium >&2 && has_browser && return
    fail "Chromium is missing and cannot be installed from here (on Debian: apt-get install chromium)"
}

command -v cargo >/dev/null || fail "cargo is missing; https://rustup.rs installs Rust"
command -v cc >/dev/null || fail "a C compiler is missing (on Debian: apt-get install gcc libc6-dev)"
