#!/bin/sh
# Builds modelswap from this checkout and installs it for one user, with completions for bash, zsh and fish.
# It can be run again: what it installed is replaced. Nothing outside the prefix is written.
set -eu

usage() {
    cat <<'TEXT'
usage: ./install.sh [--prefix DIR] [--uninstall]

  --prefix DIR   install below DIR (default: ~/.local)
  --uninstall    remove what an earlier run installed below the same prefix
  --help         this text

Needs Rust 1.95 or later with cargo, and a C compiler (both Linux and macOS).
TEXT
}

say() {
    printf '%s\n' "$*"
}

fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    for hint in "$@"; do
        printf 'hint: %s\n' "$hint" >&2
    done
    exit 1
}

# Where each file goes. The shells' own default directories for completions of one user's programs.
set_paths() {
    binary=$prefix/bin/modelswap
    bash_completion=$prefix/share/bash-completion/completions/modelswap
    zsh_completion=$prefix/share/zsh/site-functions/_modelswap
    fish_completion=$prefix/share/fish/vendor_completions.d/modelswap.fish
}

# at_least HAVE WANT, both MAJOR.MINOR
at_least() {
    have_major=${1%%.*} have_minor=${1#*.} want_major=${2%%.*} want_minor=${2#*.}
    [ "$have_major" -gt "$want_major" ] || { [ "$have_major" -eq "$want_major" ] && [ "$have_minor" -ge "$want_minor" ]; }
}

check_tools() {
    # rustup installs here and leaves PATH to the next login.
    if ! command -v cargo >/dev/null 2>&1 && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
        export PATH
    fi
    command -v cargo >/dev/null 2>&1 || fail "cargo was not found, and modelswap is built with it" \
        "get Rust from https://rustup.rs, open a new shell, and run this again"

    want=$(sed -n 's/^rust-version *= *"\([0-9]*\.[0-9]*\).*/\1/p' Cargo.toml)
    have=$(rustc --version | sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p')
    [ -n "$have" ] || fail "rustc does not say its version" "run: rustup default stable"
    at_least "$have" "${want:-0.0}" || fail "Rust $have is too old: modelswap needs $want" \
        "run: rustup update stable" "without rustup, get Rust from https://rustup.rs"

    command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 || {
        case $(uname -s) in
            Darwin) fail "no C compiler was found" "run: xcode-select --install" ;;
            *) fail "no C compiler was found" "on Debian and Ubuntu: apt-get install gcc libc6-dev" \
                "on Fedora: dnf install gcc" "on Alpine: apk add build-base" ;;
        esac
    }
}

# Whole or not at all: a modelswap that is running keeps its old file.
put() {
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.new.$$"
    chmod "$3" "$2.new.$$"
    mv -f "$2.new.$$" "$2"
}

install_all() {
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    say "building modelswap (the first time takes some minutes)"
    cargo build --release --locked --bin modelswap --message-format json-render-diagnostics >"$scratch/messages"
    # Cargo says where: the target directory may be set in many places.
    built=$(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$scratch/messages" | tail -n 1)
    [ -x "$built" ] || fail "cargo did not say where it built modelswap" "run: cargo build --release --locked"

    # Asked of the new binary before anything is replaced.
    for shell in bash zsh fish; do
        "$built" completions "$shell" >"$scratch/$shell" || fail "modelswap completions $shell failed; nothing was installed"
        [ -s "$scratch/$shell" ] || fail "modelswap completions $shell wrote nothing; nothing was installed" \
            "this checkout has no shell completions: use a released version"
    done

    put "$built" "$binary" 755
    put "$scratch/bash" "$bash_completion" 644
    put "$scratch/zsh" "$zsh_completion" 644
    put "$scratch/fish" "$fish_completion" 644
    say "installed $binary"
    say "installed $bash_completion"
    say "installed $zsh_completion"
    say "installed $fish_completion"

    case ":$PATH:" in
        *":$prefix/bin:"*) ;;
        *) say "note: $prefix/bin is not on PATH; add to your shell's profile: export PATH=\"$prefix/bin:\$PATH\"" ;;
    esac
    say "note: zsh finds the completions when this stands before compinit in ~/.zshrc: fpath=($prefix/share/zsh/site-functions \$fpath)"
}

uninstall_all() {
    removed=
    for file in "$binary" "$bash_completion" "$zsh_completion" "$fish_completion"; do
        if [ -e "$file" ] || [ -L "$file" ]; then
            rm -f "$file"
            say "removed $file"
            removed=yes
        fi
    done
    [ -n "$removed" ] || say "nothing of modelswap is installed below $prefix"
    say "journals (.modelswap directories) are left where they are"
}

prefix=
action=install_all
while [ $# -gt 0 ]; do
    case $1 in
        --prefix)
            [ $# -ge 2 ] || fail "--prefix needs a directory" "for instance: ./install.sh --prefix ~/.local"
            prefix=$2
            shift
            ;;
        --prefix=*) prefix=${1#--prefix=} ;;
        --uninstall) action=uninstall_all ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown argument: $1" "./install.sh --help lists them" ;;
    esac
    shift
done
if [ -z "$prefix" ]; then
    [ -n "${HOME:-}" ] || fail "HOME is not set" "say where to install: ./install.sh --prefix DIR"
    prefix=$HOME/.local
fi
case $prefix in
    /*) ;;
    \~/*) prefix=$HOME/${prefix#\~/} ;; # `--prefix=~/x`, which no shell expands
    *) prefix=$PWD/$prefix ;;
esac
set_paths

if [ "$action" = install_all ]; then
    cd "$(dirname "$0")"
    check_tools
fi
"$action"
