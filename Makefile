# The only door to the tools. Plain `make` lists the targets.

CALLS   ?= 500
SECONDS ?= 30
TARGET  ?= all
MINUTES ?= 5
PLATFORM ?= twilio
SERVICE ?= autotranscribe
SEED    ?= 1
RUN     := target/release/antiphon-sim
SPAWN   := --spawn target/release/antiphon
BUILD   := .build
PYTHON  := $(BUILD)/python/bin/python
CARGO   ?= cargo

.DEFAULT_GOAL := help
.PHONY: help demo test check fmt tidy clippy doc deny purity docs bench load delivery-load runs \
	chaos long drain overload fuzz oracles clean-tools

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: ## a Twilio and a SIPREC call through the real gateway, on the screen
	@deploy/install build
	$(CARGO) run --quiet -p antiphon-sim -- demo

test: ## every test but load and fuzz, with the oracles
	@deploy/install build
	$(CARGO) test --workspace --quiet
	$(CARGO) test --package antiphon-call --features planted --test planted --quiet
	$(MAKE) --no-print-directory oracles

oracles: $(PYTHON) ## what others say: twilio, assemblyai, deepgram, vosk, standardwebhooks, streamdouble, schemathesis, promtool, sipp, node
	@deploy/install promtool
	@deploy/install sipp
	@deploy/install node
	$(CARGO) build --quiet --workspace --bins --tests --examples
	$(PYTHON) tests/oracles/run.py

check: fmt tidy clippy doc deny purity ## formatting, house rules, lints, documentation, licences, arrows

fmt: ## formatting
	$(CARGO) fmt --all --check

tidy: ## line lengths, file sizes, names, arrows: the rules of docs/ARCHITECTURE.md
	@deploy/install build
	$(CARGO) test --quiet -p antiphon-tests --test tidy

clippy: ## lints, warnings denied
	@deploy/install build
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings

doc: ## documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --quiet

deny: $(BUILD)/tools/bin/cargo-deny ## licences, banned crates, sources
	$(BUILD)/tools/bin/cargo-deny --workspace --log-level error --config deploy/deny.toml check bans licenses sources

purity: ## the pure crates know no runtime; what ships knows no simulator
	@! $(CARGO) tree --edges normal --package antiphon-call --package antiphon-rtp \
		--package antiphon-siprec | grep -E ' (tokio|mio|socket2|hyper) '
	@! $(CARGO) tree --edges normal --package antiphon-gateway | grep ' antiphon-sim '

docs: ## write the generated documents anew
	UPDATE_DOCS=1 $(CARGO) test --quiet -p antiphon-gateway

bench: ## the per-frame path piece by piece, and the store with 100,000 utterances
	$(CARGO) bench -p antiphon-call -p antiphon-ingress -p antiphon-rtp
	$(CARGO) bench -p antiphon-store --bench millions

load: ## CALLS calls of PLATFORM (twilio, siprec) for SECONDS: CPU, memory, latency, loss
	@deploy/install build
	$(CARGO) build --release --quiet -p antiphon-gateway -p antiphon-sim
	target/release/antiphon-sim load --spawn target/release/antiphon \
		--platform $(PLATFORM) --calls $(CALLS) --seconds $(SECONDS)

delivery-load: runs ## the same with a dead webhook, a full disk, a locked database: as without
	@deploy/install python
	$(RUN) load $(SPAWN) --compare --platform $(PLATFORM) --calls $(CALLS) --seconds $(SECONDS)

chaos: runs ## 100 calls for MINUTES to a SERVICE that breaks (SEED): every word heard or told as lost
	$(RUN) chaos $(SPAWN) --minutes $(MINUTES) --service $(SERVICE) --seed $(SEED)

long: runs ## calls that go over to a new socket ten times: no word lost, none twice
	$(RUN) long $(SPAWN) --service autotranscribe
	$(RUN) long $(SPAWN) --service assemblyai

drain: runs ## SIGTERM with 200 calls running: nothing is lost that was received before
	$(RUN) drain $(SPAWN) --service $(SERVICE)

overload: runs ## ten times more calls than there is room for: running calls do not notice
	$(RUN) overload $(SPAWN) --service $(SERVICE)

runs:
	@deploy/install build
	$(CARGO) build --release --quiet -p antiphon-gateway -p antiphon-sim

fuzz: $(BUILD)/tools/bin/cargo-fuzz ## TARGET (or all) for MINUTES each
	@deploy/install fuzz
	tests/fuzz/run $(TARGET) $(MINUTES)

$(PYTHON): tests/oracles/requirements.txt
	@deploy/install python
	python3 -m venv $(BUILD)/python
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(BUILD)/tools/bin/cargo-%:
	@deploy/install build
	$(CARGO) install --quiet --locked --root $(BUILD)/tools cargo-$*
