# The face of the repository: what a person or CI wants done, one word each. `make help` lists the words.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

TARGET := $(or $(CARGO_TARGET_DIR),target)
WEB_SOURCES := $(shell find web/src web/public web/*.html web/vite.config.ts web/tsconfig.json -type f)
# What the second run of the suite, on PostgreSQL and Redis, leaves out: whose every test names its databases itself, or has
# none of them (standalone keeps SQLite, harness and arrows start nothing).
ON_POSTGRES := package(devpocket-tests) and kind(test) and not (binary(postgres) or binary(redis) or binary(outages) or binary(standalone) or binary(harness) or binary(admin) or binary(mails) or binary(arrows))
# Arguments for `make run`, such as ARGS=--keep, and for `make bench`.
ARGS ?=

.PHONY: help build run test test-web test-long fuzz check fmt bench bench-screen clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: web/dist/index.html ## Build the page and the release binaries
	@scripts/install-packages.sh build
	cargo build --release --locked

run: build ## Build and start everything on this machine (ARGS=--keep leaves sessions at Ctrl-C)
	@exec $(TARGET)/release/devpocket standalone $(ARGS)

test: build test-web ptyd/screen/oracle/node_modules/.package-lock.json ## Run every test, on the real binaries, a browser included, on both databases
	@scripts/install-packages.sh test
	@scripts/install-cargo-tools.sh cargo-nextest
	@scripts/install-schemathesis.sh
	cargo nextest run --workspace --locked
	DEVPOCKET_TEST_DATABASE=postgres cargo nextest run --workspace --locked -E '$(ON_POSTGRES)'

test-long: build ptyd/screen/oracle/node_modules/.package-lock.json ## Compare screen and xterm.js, api and document, in many more cases
	@scripts/install-packages.sh test
	@scripts/install-schemathesis.sh
	ORACLE_TIMES=10 cargo test --release --locked -p ptyd-screen --test oracle
	DEVPOCKET_TEST_DATABASE=postgres OPENAPI_TIMES=10 cargo test --locked -p devpocket-tests --test openapi

fuzz: ## Fuzz the cutter, the screen and the link's frames, a minute each (FUZZ_SECONDS)
	@scripts/install-packages.sh build
	scripts/fuzz.sh

test-web: web/node_modules/.package-lock.json
	cd web && npm run --silent test

check: web/node_modules/.package-lock.json ## Check format, lints, docs, dependencies and types
	@scripts/install-packages.sh build
	@scripts/install-cargo-tools.sh cargo-deny cargo-machete
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --workspace --no-deps --document-private-items --locked --quiet
	cargo deny --locked --log-level warn check bans licenses sources
	cargo machete --skip-target-dir
	cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
	cd web && npm run --silent typecheck
	node scripts/check-docs.mjs
	scripts/check-file-length.sh

fmt: ## Format the Rust code
	cargo fmt --all

bench: build ## Measure, each figure beside a baseline (a few minutes)
	@scripts/install-packages.sh bench
	@scripts/install-node-pty.sh
	cargo run --release --locked -p devpocket-bench -- $(ARGS)

bench-screen: ## Measure the terminal emulator alone: its speed, and what attacks cost
	cargo run --release --locked -p ptyd-screen --example feed_speed
	cargo run --release --locked -p ptyd-screen --example hostile_cost

clean: ## Remove everything that was built; ./data stays
	cargo clean
	rm -rf web/dist web/node_modules ptyd/screen/oracle/node_modules bench/peers/node-pty/node_modules

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	@scripts/require-node.sh
	cd web && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

ptyd/screen/oracle/node_modules/.package-lock.json: ptyd/screen/oracle/package.json ptyd/screen/oracle/package-lock.json
	@scripts/require-node.sh
	cd ptyd/screen/oracle && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run --silent build
