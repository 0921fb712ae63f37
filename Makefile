# What a developer runs; CONTRIBUTING.md explains each.
.PHONY: check deps devnet devnet-down doc test test-long

## The main job on real parts: three validators, a consumer from creation to deletion.
devnet: deps
	cargo run --quiet --package ics-tests --bin devnet -- up

## Ends all that make devnet left running.
devnet-down:
	cargo run --quiet --package ics-tests --bin devnet -- down

## All tests, the end-to-end ones on a real chain and a real Docker engine included.
test: deps
	tests/run

## Formatting, lints, documentation, licenses, purity of the core.
check:
	tests/check

## What takes too long for every change.
test-long: test

doc:
	cargo doc --workspace --no-deps

## Installs Go's and Docker's parts where they are missing (Debian, as root).
deps:
	tests/deps
