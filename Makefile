# fluent-bit-ai: everything a developer or a user runs. `make` shows this help.

PREFIX ?= target/plugins
CARGO ?= cargo
PLUGINS = in_ai_otlp in_ai_emitter filter_ai_context filter_ai_metrics filter_ai_sampling out_multi_otlp
# Files that `cargo fmt` does not see, because a macro names their modules.
NAMED_BY_MACRO = src/genai/dialects/*.rs
TARGET := $(or $(CARGO_TARGET_DIR),target)
# rustup's default toolchain, where it has the release that rust-toolchain.toml names.
TOOLCHAIN := $(or $(RUSTUP_TOOLCHAIN),$(shell sh tests/toolchain.sh))
ifneq ($(TOOLCHAIN),)
export RUSTUP_TOOLCHAIN := $(TOOLCHAIN)
endif
# How many tests of a program run at a time.
THREADS = --config "target.'cfg(unix)'.runner=['sh','$(CURDIR)/tests/threads.sh']"

.PHONY: help setup build install files demo test lint quick unit host-test roundtrips exporters backends dashboards servers bench soak due findings fuzz memcheck abi docs bindings check-bindings dependencies advisories test-aarch64 dist dist-try profile clean

help: ## Show this help
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo "  PREFIX=DIR       where install puts the plugin files (now: $(PREFIX))"

setup: ## Install what a fresh Debian lacks (a C compiler and linker)
	@sh tests/setup.sh

build: setup ## Build the shared object, the program, the bundled host and the tools, optimised
	$(CARGO) build --release --lib --bins -p fluent-bit-ai -p fluent-bit-ai-cli -p flb-host -p testkit

install: setup ## Put the plugin files into PREFIX, as links to one file, their plugins.conf, and the program
	$(CARGO) build --release --lib -p fluent-bit-ai
	$(CARGO) build --release --bin fluent-bit-ai -p fluent-bit-ai-cli
	@$(MAKE) --no-print-directory files PREFIX="$(PREFIX)"

# What is built already, put into PREFIX.
files:
	@mkdir -p "$(PREFIX)"
	@cp -f "$(TARGET)/release/libfluent_bit_ai.so" "$(PREFIX)/.fluent-bit-ai.so.new"
	@mv -f "$(PREFIX)/.fluent-bit-ai.so.new" "$(PREFIX)/fluent-bit-ai.so"
	@cp -f "$(TARGET)/release/fluent-bit-ai" "$(PREFIX)/.fluent-bit-ai.new"
	@mv -f "$(PREFIX)/.fluent-bit-ai.new" "$(PREFIX)/fluent-bit-ai"
	@for plugin in $(PLUGINS); do ln -sf fluent-bit-ai.so "$(PREFIX)/flb-$$plugin.so"; done
	@{ echo "[PLUGINS]"; for plugin in $(PLUGINS); do echo "    Path $(abspath $(PREFIX))/flb-$$plugin.so"; done; } > "$(PREFIX)/plugins.conf"
	@echo "installed into $(PREFIX):"; ls "$(PREFIX)"

demo: build ## Run the README's pipeline on real captures and print what came out where (LONG=1: all of it; WAIT=1: until Enter, to look at the status page)
	@$(MAKE) --no-print-directory files PREFIX="$(TARGET)/plugins" >/dev/null
	@"$(TARGET)/release/otlp-tool" demo --plugins "$(abspath $(TARGET))/plugins" --captures tests/data/genai $(if $(LONG),--long) $(if $(WAIT),--wait)

test: setup lint dependencies unit ## Everything that CI runs: lint, dependencies, all tests

lint: ## Format and clippy, warnings denied, check-bindings in the course of it, fuzz targets compiled
	$(CARGO) fmt --check
	@rustfmt --check $(NAMED_BY_MACRO)
	CARGO="$(CARGO)" sh tests/bindings.sh --lint
	@# Their library is C++, which a check does not need.
	CUSTOM_LIBFUZZER_PATH=./none $(CARGO) check --locked --manifest-path tests/fuzz/Cargo.toml --target-dir "$(TARGET)"

# Tests that try thousands of cases, a third of the time of all.
MANY_CASES = traffic_tests workload_tests made_up hostile_text what_stands_together what_was_packed a_bomb_is_stopped

quick: ## Format, clippy and unit tests but the longest: what to run while working
	$(CARGO) fmt --check
	@rustfmt --check $(NAMED_BY_MACRO)
	$(CARGO) clippy --lib --tests -- -D warnings
	$(CARGO) test --lib -- --test-threads=4 $(addprefix --skip ,$(MANY_CASES))

# Without a choice of targets, so that cargo builds the examples that a test runs.
unit: ## Unit, property, golden and host tests
	$(CARGO) test --workspace $(THREADS)

host-test: ## Only the host tests: the plugins on flb-host (every row) and on every real Fluent Bit found
	$(CARGO) test -p flb-host --test hosts $(THREADS) -- --nocapture

roundtrips: ## Send ROUND_TRIPS generated requests of each signal through records and back (100000)
	ROUND_TRIPS=$(or $(ROUND_TRIPS),100000) $(CARGO) test --profile cases --test records -- roundtrip:: captures::

exporters: ## Install the exporters of Python and JavaScript (pip, npm) and send with them
	sh tests/exporters/install.sh "$(TARGET)/exporters"
	EXPORTERS="$(abspath $(TARGET))/exporters" $(CARGO) test -p flb-host --test exporters -- --nocapture

backends: ## Install backends that others wrote (pip: rotel, MLflow; PHOENIX=1) and send to them
	sh tests/backends/install.sh "$(TARGET)/backends" "$(PHOENIX)"
	BACKENDS="$(abspath $(TARGET))/backends" $(CARGO) test -p flb-host --test backends -- --nocapture

servers: ## Install model servers that others wrote (pip: llama.cpp's, LiteLLM's proxy) and scrape them
	sh tests/backends/install-servers.sh "$(TARGET)/servers"
	SERVERS="$(abspath $(TARGET))/servers" $(CARGO) test -p flb-host --test backends -- --nocapture model_servers

dashboards: ## Install the types of Grafana's dashboards (npm) and hold deploy/grafana against them
	sh tests/deploy/grafana/install.sh "$(TARGET)/grafana"
	GRAFANA_SCHEMA="$(abspath $(TARGET))/grafana" $(CARGO) test -p flb-host --test deploy -- --nocapture dashboards

bench: build ## Measure beside Fluent Bit's own plugins and print the table
	@$(MAKE) --no-print-directory files PREFIX="$(TARGET)/plugins" >/dev/null
	@"$(TARGET)/release/otlp-tool" bench --plugins "$(abspath $(TARGET))/plugins" $(BENCH)

soak: build ## Tail sampling at a rate above its bounds for ten minutes, on the newest real host (SOAK="--seconds 60")
	@$(MAKE) --no-print-directory files PREFIX="$(TARGET)/plugins" >/dev/null
	@"$(TARGET)/release/otlp-tool" soak --plugins "$(abspath $(TARGET))/plugins" $(SOAK)

due: build ## A million spans that are due at once: the longest pause of the newest real host (DUE="--shards 4 --keep")
	@$(MAKE) --no-print-directory files PREFIX="$(TARGET)/plugins" >/dev/null
	@"$(TARGET)/release/otlp-tool" due --plugins "$(abspath $(TARGET))/plugins" $(DUE)

findings: ## Simulate calls, and print what ai_metrics finds in them, when, and how often wrongly
	$(CARGO) run --profile cases -p testkit --bin otlp-tool -- findings $(FINDINGS)

fuzz: ## Fuzz the decoders for SECONDS each (needs cargo-fuzz and a nightly or RUSTC_BOOTSTRAP)
	sh tests/fuzz/run.sh $(or $(SECONDS_EACH),600)

memcheck: build ## Run the pipeline on flb-host under valgrind's memcheck
	sh tests/memcheck.sh

abi: ## Prove the rows against real headers, write them as data: make abi HOST_HEADERS=SOURCE HOST_BUILD=BUILD
	sh tests/abi/probe.sh "$(HOST_HEADERS)" "$(HOST_BUILD)" "$(TARGET)/abi"
	$(CARGO) test --lib host::abi::

docs: ## Print docs/reference anew from the plugins' tables of options and counters
	WRITE_REFERENCE=1 $(CARGO) test --test reference

bindings: ## Make src/host/abi/bindings.rs anew from include/ (needs libclang)
	CARGO="$(CARGO)" sh tests/bindings.sh --write

check-bindings: ## Compare src/host/abi/bindings.rs with include/ (needs libclang)
	CARGO="$(CARGO)" sh tests/bindings.sh

dependencies: ## Licences, sources, doubles and unused ones (cargo-deny, cargo-machete)
	CARGO="$(CARGO)" sh tests/dependencies.sh "$(TARGET)/tools"

advisories: ## Known vulnerabilities of dependencies (needs github.com; not part of CI)
	CARGO="$(CARGO)" sh tests/dependencies.sh "$(TARGET)/tools" advisories

test-aarch64: ## Unit, golden, records and bundled-host tests for aarch64, emulated (needs root once; ARGUMENTS)
	sh tests/aarch64.sh $(ARGUMENTS)

dist: setup ## Make the artefacts for x86-64 and aarch64 in target/dist: see docs/ARTEFACTS.md
	sh packaging/dist.sh target/dist $(ARCHITECTURES)

profile: build ## Record which code is hot, for `make dist` (needs a Fluent Bit, llvm-profdata)
	sh packaging/profile.sh "$(TARGET)/release" target/dist

dist-try: ## Load the x86-64 artefacts in roots of an old glibc and without a shell (needs root, debootstrap)
	sh packaging/try.sh target/dist

clean: ## Remove what was built
	$(CARGO) clean
