# What a developer runs; CONTRIBUTING.md explains each.
built := $(abspath $(or $(CARGO_TARGET_DIR),target))/debug
.PHONY: bench check conformance demo deps devnet devnet-down doc faults fuzz mutants scenarios test test-long

## The main job with cargo alone: an embedded provider, three monitors, nodes as processes.
demo:
	cargo run --quiet --package ics-fixtures --bin ics-demo

## The main job on real parts: three validators, a consumer from creation to deletion.
devnet: deps
	cargo build --quiet --workspace --bins
	ICS_MONITOR_PROGRAM=$(built)/ics-monitor $(built)/devnet up

## Ends all that make devnet left running.
devnet-down:
	cargo build --quiet --workspace --bins
	$(built)/devnet down

## All tests, the end-to-end ones on a real chain and a real Docker engine included.
test: deps
	tests/run

## Formatting, lints, documentation, licenses, purity of the core.
check:
	tests/check

## What takes too long for every change: the core's invariants in many more worlds, many more faults.
test-long: faults
	PROPTEST_CASES=200000 cargo test --package ics-core --test core invariants

## Plays fixtures/conformance against the embedded provider and the real one, and shows where they differ.
conformance:
	cargo test --quiet --package ics-tests --test conformance -- --ignored --nocapture
	cargo test --quiet --package ics-tests --test conformance -- --nocapture

## The monitor with everything going wrong, in so many stories; prints each kind of fault.
FAULT_RUNS ?= 10000
faults:
	FAULT_RUNS=$(FAULT_RUNS) cargo test --package ics-tests --test faults -- --nocapture

## Fuzzes ics-core, each target for so many seconds, and goes on from what it found before.
FUZZ_SECONDS ?= 600
fuzz:
	tests/fuzz $(FUZZ_SECONDS) keep

## Speed, memory and what following costs, as a table in docs/performance.md.
bench:
	tests/bench

## Writes what the core does into fixtures/scenarios: read the difference before it is committed.
scenarios:
	SCENARIOS=write cargo test --quiet --package ics-core --test core scenarios

## Makes each mistake of ics-core/tests/mutations in a copy, and shows which test catches it.
mutants:
	tests/mutants

doc:
	cargo doc --workspace --no-deps

## Installs Go's and Docker's parts where they are missing (Debian, as root).
deps:
	tests/deps
