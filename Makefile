# The vocabulary of this repository. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# A shell opened before Rust was installed does not have this folder on its PATH yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
NARROWS := $(TARGET)/release/narrows

# Further flags for `make run`, `make demo`, `make load` and `make compare-speed`:
# make run ARGS="--listen 127.0.0.1:7000"
ARGS ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: build ## Install what is missing, build, run narrows over a private Redis of its own
	@exec $(NARROWS) --embedded $(ARGS)

.PHONY: demo
demo: build ## A thousand clients that verify every reply, direct beside through narrows
	@exec $(NARROWS) demo $(ARGS)

.PHONY: test
test: test-tools format lint dependencies ## Install what the tests need, then every check and every test
	@scripts/run-tests

# Those of `make test` and two more, one of which is built from its source: half an hour on two cores, and
# no part of continuous integration. SERVERS=valkey-9.1,redis-8.10 runs with these alone.
SERVERS ?= all

.PHONY: test-servers
test-servers: test-tools ## What concerns servers, with each that can be had: SERVERS=all
	@TARGET="$(TARGET)" scripts/test-servers all
	@NARROWS_SERVERS="$(SERVERS)" scripts/run-tests --test conformance --test compat --test faults

.PHONY: test-clients
test-clients: client-tools ## Every client library of docs/clients.md, direct beside through narrows
	@scripts/test-clients

.PHONY: test-tls
test-tls: client-tools ## Conformance, sessions, chaos and client libraries with TLS on both sides: SESSIONS=2000 SEED=
	@SESSIONS="$(SESSIONS)" SEED="$(SEED)" scripts/test-tls $(ARGS)

# Minutes of the soak, the seed of its schedule where one is to be played again, and whether it is
# played on a build with debug assertions.
MINUTES ?= 20
SEED ?=
ASSERTIONS ?=

# Sessions in each setting, with the seeds from SEED on.
SESSIONS ?= 2000

.PHONY: sessions
sessions: test-tools ## Random sessions of several clients, direct beside through: SESSIONS=2000 SEED= SIDE_BY_SIDE=
	@SESSIONS="$(SESSIONS)" SEED="$(SEED)" scripts/sessions $(ARGS)

.PHONY: soak
soak: test-tools ## Such sessions, then all faults in a random order under a verifying load: MINUTES=20 SEED=
	@SESSIONS="$(SESSIONS)" SEED="$(SEED)" scripts/sessions
	@MINUTES="$(MINUTES)" SEED="$(SEED)" ASSERTIONS="$(ASSERTIONS)" scripts/soak $(ARGS)

.PHONY: bench
bench: run-tools ## The micro-benchmarks (criterion)
	cargo bench

# `scripts/compare-speed --help` lists its flags, docs/performance.md says how to read what it finds.
.PHONY: compare-speed
compare-speed: compare-tools build ## Redis alone beside narrows beside its peers: ARGS="--rows a,d --rounds 3"
	@exec scripts/compare-speed $(ARGS)

.PHONY: instructions
instructions: instructions-tools build ## Instructions per request under valgrind, against recorded limits
	cargo test --test instructions -- --nocapture

.PHONY: load
load: run-tools ## Load that verifies every reply: make load ARGS="--target 127.0.0.1:6380 -c 1000"
	@cargo build --release --package narrows-load
	@exec $(TARGET)/release/narrows-load $(ARGS)

# SECONDS alone is the shell's own clock: only what is said on the command line counts.
.PHONY: fuzz
fuzz: run-tools ## Fuzz each target for a minute: make fuzz SECONDS=300 TARGET=reply
	@FUZZ_SECONDS="$(if $(filter command line,$(origin SECONDS)),$(SECONDS),60)" \
		FUZZ_TARGETS="$(if $(filter command line,$(origin TARGET)),$(TARGET))" scripts/fuzz

.PHONY: build
build: run-tools ## Build the release binary
	cargo build --release

.PHONY: format
format: ## Check the formatting
	cargo fmt --all --check

.PHONY: lint
lint: ## Clippy, warnings denied
	cargo clippy --workspace --features narrows/fault_injection --all-targets -- -D warnings

.PHONY: dependencies
dependencies: ## Licences, duplicates and advisories of what narrows depends on
	@scripts/check-dependencies

.PHONY: run-tools
run-tools:
	@scripts/provision run

.PHONY: client-tools
client-tools:
	@TARGET="$(TARGET)" scripts/provision clients

.PHONY: compare-tools
compare-tools:
	@scripts/provision compare

.PHONY: instructions-tools
instructions-tools:
	@scripts/provision instructions

.PHONY: test-tools
test-tools:
	@TARGET="$(TARGET)" scripts/provision test
