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

command -v cargo >/dev/null || fail "cargo is missing; https://rustup.rs installs Rust"
command -v cc >/dev/null || fail "a C compiler is missing (on Debian: apt-get install gcc libc6-dev)"
