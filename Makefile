# What people and continuous integration call. Everything needs Rust; the rest is installed where it is missing.
.PHONY: help run build test check e2e clients kill200 rolling contract-roll gen gen-check prices bench fuzz coverage release clean

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

run: ## build and run the standalone relay on ./data (relay :3000, administration :4000)
	@.ci/install build
	cargo build --release --locked -p standalone -p crsctl
	./target/release/crs serve --data-dir ./data

build: ## build all binaries for development
	@.ci/install build
	cargo build --locked -p standalone -p control-plane -p data-plane -p crsctl

test: ## every check; the last line is `N passed, N failed`
	@.ci/test

check: ## the fast checks: format, lints, tidy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test -q -p e2e --test tidy

e2e: build ## end-to-end tests only; `make e2e T=g4` for those that match
	@.ci/install redis
	cargo test -p e2e --test e2e -- $(T)

clients: build ## the official SDKs and Claude Code against the relay
	@.ci/install node python
	cargo test -p e2e --test clients -- $(T)

kill200: build ## G4 in full: 200 random kill -9
	@.ci/install redis
	E2E_KILLS=200 cargo test -p e2e --test e2e -- --nocapture --test-threads 1 g4_

rolling: build ## G12 in full: a rolling restart under 500 streams (STREAMS=…)
	@.ci/install redis haproxy
	E2E_STREAMS=$(or $(STREAMS),500) cargo test -p e2e --test e2e -- --nocapture g12_

contract-roll: ## pin the node contract of a release as the one before this one (FROM=v2.0.0; default: the last tag)
	git show $(or $(FROM),$$(git describe --tags --abbrev=0)):proto/src/gen/descriptor.bin >tests/fixtures/contract/previous.bin

gen: ## generate Rust from proto/
	cargo run -q -p proto-gen -- proto proto/src/gen

gen-check: ## the generated code is what proto/ says
	@fresh=$$(mktemp -d) && cargo run -q -p proto-gen -- proto $$fresh && diff -r $$fresh proto/src/gen; \
		status=$$?; rm -rf $$fresh; [ $$status = 0 ] || { echo 'run `make gen` and commit'; exit 1; }

prices: ## the shipped price table anew: SOURCE=model_prices_and_context_window.json VERSION=2026-11-27
	cargo run -q -p proto-gen -- prices $(SOURCE) $(VERSION) proto/src/rules/prices.json
	cargo test -q -p proto price

bench: ## measure the relay beside the mock, a minimal proxy and nginx; writes tests/load/RESULTS.md
	@.ci/install build
	@.ci/install nginx || echo "SKIPPED: nginx is not to be had here"
	cargo build --profile dist --locked -p standalone -p control-plane -p data-plane -p e2e
	cargo run -q --profile dist --locked -p e2e --bin bench -- $(ARGS)

SECONDS ?= 60
fuzz: ## each fuzz target for 60 s (SECONDS=…)
	@.ci/install fuzz
	@for target in $$(cd fuzz && cargo fuzz list); do \
		echo "== $$target"; \
		(cd fuzz && cargo fuzz run -s none $$target -- -max_total_time=$(SECONDS) -print_final_stats=1 -verbosity=0) || exit 1; \
	done

coverage: ## line coverage of the workspace's tests
	@.ci/install coverage
	cargo llvm-cov --workspace --exclude e2e --ignore-filename-regex 'src/gen/' --summary-only

release: ## optimised, stripped binaries in target/dist
	@.ci/install build
	cargo build --profile dist --locked -p standalone -p control-plane -p data-plane -p crsctl
	@ls -l target/dist/crs target/dist/crs-control target/dist/crs-data target/dist/crsctl

clean: ## remove what was built and installed here (not ./data)
	rm -rf target fuzz/target .tools
