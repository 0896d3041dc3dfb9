# Gatehouse: what can be done here. Every target installs what it lacks (Debian 12, as root) before it starts.

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# No -trimpath: with it nothing is shared with what the tests compile, and everything is compiled twice.
GO_BUILD := go build -buildvcs=false -ldflags '-X main.version=$(VERSION)'
export FUZZTIME ?= 5m

.PHONY: help build run test lint bench fuzz corpus drift

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: ## build bin/gateway (pure Go) and bin/worker (with libvips)
	CGO_ENABLED=0 $(GO_BUILD) -o bin/gateway ./gateway
	CGO_ENABLED=1 $(GO_BUILD) -o bin/worker ./worker

run: ## install, build, and run both programs on :8080 with a demo tenant
	@scripts/install.sh run
	@$(MAKE) --no-print-directory build
	@scripts/run.sh

test: ## run all tests with real services, which are started and stopped here
	@scripts/install.sh test
	@scripts/with-services.sh scripts/test.sh

lint: ## check format, style, the import rules, and known vulnerabilities
	@scripts/install.sh lint
	@scripts/lint.sh

bench: ## measure against the bare parts and print one table of ratios
	@scripts/install.sh bench
	@scripts/with-services.sh go run ./e2e/bench

corpus: ## send 500 changed files of each picture and video format through the jobs
	@scripts/install.sh test
	@GATEHOUSE_MUTANTS=500 scripts/with-services.sh go test -count=1 -timeout=4h -v -run='^TestCorpus' ./worker/jobs

drift: ## make 1,000 random mixes of every kind of drift on each database and reconcile them
	@scripts/install.sh test
	@GATEHOUSE_DRIFT_ROUNDS=1000 GATEHOUSE_DRIFT_SEED=$${GATEHOUSE_DRIFT_SEED:-$$(date +%s)} scripts/with-services.sh go test -count=1 -timeout=2h -v -run='^TestDrift' ./storage/reconcile/drift

fuzz: ## run each fuzz target for FUZZTIME (5m), one after another
	@scripts/install.sh run
	@scripts/fuzz.sh
