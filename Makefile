# One command for each thing a newcomer wants; `make` lists them. Every target does its own set-up.

CARGO ?= cargo
PYTHON ?= python3
PREFIX ?= /usr/local
# Where `install` puts files while a package is made.
DESTDIR ?=
# How long `fuzz` tries each target.
SECONDS ?= 60

# rustup's default place, for shells that have not read it yet, and the tools of `make tools`.
export PATH := $(PATH):$(HOME)/.cargo/bin:$(CURDIR)/.venv/bin

.DEFAULT_GOAL := help
.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z-]*\):.* ## /  \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

.PHONY: demo
demo: build ## build, then find and repair faults in a few files
	@sh tests/setup/demo.sh

.PHONY: test
test: libtorch tools ## run every test, the engine's too
	$(PYTHON) -m unittest tests/setup/test_libtorch.py tests/setup/test_pack.py tests/setup/test_mean.py tests/setup/test_mine.py \
		tests/setup/test_grow.py tests/setup/test_corpus.py
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		set -x; $(CARGO) nextest run --locked --features engine; \
	else \
		set -x; $(CARGO) test --locked --features engine --lib --bins --tests; \
	fi
	$(CARGO) test --locked --features engine --doc

.PHONY: build
build: libtorch ## build both programs into target/release
	$(CARGO) build --locked --release --bin lastmile
	$(CARGO) build --locked --release --features engine --bin lastmile-engine

.PHONY: libtorch
libtorch: needs ## put libtorch into .libtorch (downloads 540 MB once, keeps 490 MB)
	@$(PYTHON) models/libtorch.py

.PHONY: needs
needs:
	@CARGO='$(CARGO)' PYTHON='$(PYTHON)' sh tests/setup/needs.sh

.PHONY: lint
lint: needs ## what CI checks besides the tests; needs no libtorch
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path tests/fuzz/Cargo.toml
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets --features engine,tch/doc-only -- -D warnings
	cp Cargo.lock tests/fuzz/Cargo.lock # so that little is built again
	$(CARGO) clippy --manifest-path tests/fuzz/Cargo.toml --target-dir "$${CARGO_TARGET_DIR:-target}" -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --lib
	@CARGO='$(CARGO)' sh tests/setup/lint.sh

.PHONY: tools
tools: ## install the tools of `lint` and of the tests into .venv and, by npm, tests/github/node_modules
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@cmp -s tests/setup/requirements.txt .venv/installed.txt || { \
		.venv/bin/python -m pip --disable-pip-version-check install --quiet -r tests/setup/requirements.txt && \
		cp tests/setup/requirements.txt .venv/installed.txt; }
	@cmp -s tests/github/package-lock.json tests/github/node_modules/installed.json || \
	if command -v npm >/dev/null; then \
		npm ci --prefix tests/github --ignore-scripts --no-audit --no-fund --silent && \
		$(PYTHON) tests/github/prepare.py && \
		cp tests/github/package-lock.json tests/github/node_modules/installed.json; \
	else \
		echo 'skipped: npm is not installed, so GitHub is only faked and not checked against its description'; \
	fi

BENCHES := hook check repair fix valid examples

.PHONY: bench $(BENCHES:%=bench-%)
bench: $(BENCHES:%=bench-%) ## measure against the targets; one alone: make bench-repair SETS='rows.jsonl …'

$(BENCHES:%=bench-%): bench-%: build tools
	@echo "==> $*"
	@$(PYTHON) tests/bench/$*.py $(if $(filter repair examples,$*),$(SETS))

.PHONY: fuzz
fuzz: needs ## try the core on random texts, each target for SECONDS (default 60)
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked --root .venv cargo-fuzz@0.13.2
	@for target in window judge repair artifact; do \
		mkdir -p tests/fuzz/corpus/$$target && \
		RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --fuzz-dir tests/fuzz --sanitizer none $$target \
			tests/fuzz/corpus/$$target tests/cases tests/demo -- \
			-max_len=4096 -timeout=10 -max_total_time=$(SECONDS) || exit 1; \
	done

.PHONY: install
install: build ## copy both programs, the models and libtorch below PREFIX (default /usr/local)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' sh tests/setup/install.sh

.PHONY: clean
clean: ## remove what was built, but keep libtorch
	$(CARGO) clean

.PHONY: distclean
distclean: clean ## remove libtorch and the tools too
	rm -rf .venv tests/github/node_modules .libtorch .libtorch.partial .libtorch.wheels
