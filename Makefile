# Stillframe's one runner. `make demo` and `make test` set up what they need by themselves; see `make help`.

.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin

.PHONY: help
help: ## Lists the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: setup
setup: ## Debian packages, .venv with the locked dependencies, the public image (seconds when all is there)
	@tools/setup.sh

.PHONY: demo
demo: setup ## Builds a server, captures it, boots a second one from the image and reads the first one's data back
	@$(BIN)/stillframe demo

.PHONY: test
test: ## Lint, types, tests and the demo, with one verdict at the end
	@tools/test.sh

.PHONY: test-go
test-go: setup ## The image pipeline driven by gophertelekomcloud; needs Go 1.20 or newer and the module proxy
	@STILLFRAME_TEST_GO=1 $(BIN)/pytest -q -rP tests/clients/test_go.py

.PHONY: test-terraform
test-terraform: setup ## examples/terraform applied, planned again and destroyed; needs OpenTofu or Terraform, and the provider
	@STILLFRAME_TEST_TERRAFORM=1 $(BIN)/pytest -q -rP tests/clients/test_terraform.py

.PHONY: test-debian
test-debian: setup ## A Debian with systemd and cloud-init, built from its packages, captured and booted again; needs root and mmdebstrap
	@STILLFRAME_TEST_DEBIAN=1 $(BIN)/pytest -q -rP -n0 tests/debian

.PHONY: lint
lint: setup ## Style and types, changing nothing
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

.PHONY: format
format: setup ## Formats the code and mends what ruff can mend
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

.PHONY: lock
lock: ## Brings requirements.lock in line with pyproject.toml (UPGRADE=1: newest versions of everything)
	@[ -x $(BIN)/uv ] || tools/setup.sh
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --extra dev $(if $(UPGRADE),--upgrade) \
		pyproject.toml tools/requirements.in --output-file requirements.lock
	@! grep -n '://' requirements.lock

.PHONY: coverage-docs
coverage-docs: setup ## Writes docs/coverage.md: every operation of the API and whether it is there
	@$(BIN)/python -m stillframe.coverage >docs/coverage.md.new && mv docs/coverage.md.new docs/coverage.md

.PHONY: bench
bench: setup ## Measures it beside its peers and the machine's limits (PARTS="tokens lists", QUICK=1, NO_PEERS=1)
	@$(BIN)/python -m benchmarks.run $(if $(PARTS),--parts "$(PARTS)") $(if $(QUICK),--quick) $(if $(NO_PEERS),--no-peers)

.PHONY: bench-fleet
bench-fleet: setup ## Twenty servers at once: created, booted, stopped, captured, deleted, with how long each takes
	@$(BIN)/python -m benchmarks.fleet

.PHONY: clean
clean: ## Removes what can be made again from this checkout; the cached public image stays
	@rm -rf .venv .stamps build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
