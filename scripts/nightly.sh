# Sourced by the proofs that need a nightly toolchain. Where they cannot run they say so in their last line and exit with status 3,
# which is neither success nor failure.

did_not_run() {
    echo "did not run: $1"
    exit 3
}

# Makes sure that nightly has these components, installing them if need be.
need_nightly() {
    local component components
    components=$(IFS=,; echo "$*")
    local install="rustup toolchain install nightly --profile minimal --component $components"
    command -v rustup >/dev/null || did_not_run "there is no rustup; with it: $install"
    if ! nightly_has "$@"; then
        # A nightly that is there already stays as it is.
        timeout 300 rustup component add --toolchain nightly "$@" >/dev/null 2>&1 ||
            timeout 300 $install >/dev/null 2>&1 || true
        nightly_has "$@" || did_not_run "nightly lacks one of $components; to install them: $install"
    fi
}

nightly_has() {
    local component installed
    installed=$(rustup component list --toolchain nightly --installed 2>/dev/null) || return 1
    for component in "$@"; do
        grep -q "^$component" <<<"$installed" || return 1
    done
}

# The options that weaken the crate by one mutant and leave its dependencies as they are. Profile and mutant.
mutant_options() {
    printf '%s\n' -Zprofile-rustflags --config "profile.$1.package.spanring.rustflags=['--cfg=spanring_mutant=\"$2\"']"
}
