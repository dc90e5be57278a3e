# What one types here. `./just` gets the runner of this file when it is missing; `.ci/run` calls `test`.

set positional-arguments
set shell := ["bash", "-euo", "pipefail", "-c"]

# In CI the build must be exactly what Cargo.lock says.
locked := if env('CI', '') == 'true' { '--locked' } else { '' }
parlor := 'cargo run --release -p parlor --'

# Lists what can be typed.
[private]
default:
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" --list --unsorted

# Does all the set-up, then starts the server: `./just run --listen 0.0.0.0:8080`; with `--livekit` a LiveKit server, too.
[group('use')]
run *args: setup
    @echo "Building parlor: some minutes the first time." >&2
    @serve=(cargo run --release {{ locked }} -p parlor -- serve "$@"); \
        for word in "$@"; do if [[ $word == --livekit ]]; then exec scripts/livekit "${serve[@]}"; fi; done; \
        set -x; exec "${serve[@]}"

# Does all the set-up: system packages, engines, models, Rust and npm packages, the page.
[group('use')]
setup: provide web

# Says what is present, what is missing, and what to type.
[group('use')]
doctor *args:
    {{ parlor }} doctor "$@"

# Talks with a running server by typing lines: `./just cli 192.168.1.5:8080`.
[group('use')]
cli host='127.0.0.1:8080' *args:
    @case "$1" in *://*) url=$1 ;; *:*) url=ws://$1/ws ;; *) url=ws://$1:8080/ws ;; esac; \
        shift $(( $# > 0 )); exec {{ parlor }} talk --url "$url" "$@"

# Starts the server, without set-up.
[group('use')]
run-orch *args: web
    {{ parlor }} serve "$@"

# Starts only a LiveKit server, and prints the variables that tell others about it.
[group('use')]
livekit *args:
    @exec scripts/livekit "$@"

# Starts a synthesis worker that answers every text with a 440 Hz tone.
[group('use')]
run-tts-mock *args:
    {{ parlor }} worker --kind tts --adapter mock --listen 127.0.0.1:7001 "$@"

# Starts a synthesis worker with Piper voices: `./just run-tts-piper MODEL MODEL,MODEL`.
[group('use')]
run-tts-piper default='' preload='' *args:
    {{ parlor }} worker --kind tts --adapter piper --listen 127.0.0.1:7001 \
        ${1:+--default-model "$1"} ${2:+--preload "$2"} "${@:3}"

# Starts a Redis server that keeps nothing, as a registry for workers on this machine.
[group('use')]
redis *args:
    @command -v redis-server >/dev/null || { echo "redis-server is missing; type: apt install redis-server" >&2; exit 1; }
    redis-server --bind 127.0.0.1 --port 6379 --save '' --appendonly no --notify-keyspace-events KA "$@"

# Measures: `./just bench frame --json`.
[group('use')]
bench *args:
    {{ parlor }} bench "$@"

# Does all the set-up, then passes every test: what a change must pass.
[group('develop')]
test: provide provide-tests fmt-check test-web clippy test-rust test-browser

# What to pass before review: all but the browser tests, without set-up, and the docs.
[group('develop')]
check: fmt-check test-web clippy test-rust docs

# Formatting and lints of everything.
[group('develop')]
lint: fmt-check clippy lint-web

# Mends what formatter and linters can mend.
[group('develop')]
fix: npm
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
    cargo fmt --all
    npm --prefix web run --silent format
    cd web && npx --no-install eslint . --fix

# Type checks of everything.
[group('develop')]
typecheck: npm
    cargo check {{ locked }} --workspace --all-targets
    npm --prefix web run --silent typecheck

# What CI runs.
[group('develop')]
ci:
    .ci/run

# Builds the page into web/dist, when it has changed.
[group('develop')]
web:
    scripts/build-web

# API docs of our crates, and the user guide where mdbook is installed.
[group('develop')]
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc {{ locked }} --workspace --no-deps
    @if [[ -f docs/book.toml ]] && command -v mdbook >/dev/null; then mdbook build docs; fi

# System packages, engines, models and Rust packages.
[private]
provide:
    scripts/setup-system build engines
    scripts/setup-models
    cargo fetch --quiet {{ locked }}

# Chromium, Redis and speech, a LiveKit server and its peers, for tests.
[private]
provide-tests:
    scripts/setup-system tests
    scripts/setup-test-speech
    scripts/setup-livekit >/dev/null
    scripts/setup-peers >/dev/null

[private]
npm:
    scripts/setup-npm web

[private]
rust-tools:
    @for tool in fmt clippy; do cargo $tool --version >/dev/null 2>&1 || \
        { echo "cargo $tool is missing; type: rustup component add rustfmt clippy" >&2; exit 1; }; done

[private]
fmt-check: rust-tools
    cargo fmt --all --check

# The page is embedded, so it is built before the program is.
[private]
clippy: rust-tools web
    cargo clippy {{ locked }} --workspace --all-targets -- -D warnings
    @if pkg-config --exists alsa; then set -x; cargo clippy {{ locked }} --workspace --features parlor/mic -- -D warnings; \
    else echo "left out: the feature mic, which needs libasound2-dev" >&2; [[ ${CI:-} != true ]]; fi

[private]
lint-web: npm
    npm --prefix web run --silent lint

[private]
test-web: npm && web
    npm --prefix web run --silent typecheck
    npm --prefix web run --silent lint
    npm --prefix web --silent test </dev/null

# The program is built too, for the tests that start it.
[private]
build-rust: web
    cargo build {{ locked }} --workspace --all-targets

# All Rust tests; the dependency arrows and the licences are among them.
[private]
test-rust *args: build-rust
    @if cargo nextest --version >/dev/null 2>&1; then \
        set -x; cargo nextest run {{ locked }} --workspace "$@"; cargo test {{ locked }} --workspace --doc; \
    else set -x; cargo test {{ locked }} --workspace "$@"; fi

[private]
test-browser *args: build-rust
    scripts/test-browser "$@"
