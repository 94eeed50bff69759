# Everything a change must pass is `make test`. It needs Go and a C compiler (for the race detector), nothing else:
# tests whose programs or rights are missing skip and say so. `make deps` installs the programs (Debian, root).

GO        ?= go
TESTFLAGS ?=
FUZZTIME  ?= 3s
SOAK      ?= 10000000

# Fewer rounds, or shorter ones, are for those who work on them: docs/performance.md stays as it is.
PEERS_ROUNDS  ?= 5
PEERS_SECONDS ?= 2

# Where Linux's fast path does not run, and where an int has 32 bits.
PLATFORMS ?= darwin/arm64 windows/amd64 freebsd/amd64 linux/386 linux/arm

STATICCHECK = $(GO) tool -modfile=$(CURDIR)/tools/go.mod staticcheck

.PHONY: help test fmt fix vet lint unit fuzz cross integration docs bench accuracy peers soak cover deps
.NOTPARALLEL:

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: fmt fix vet lint unit fuzz cross integration ## all of the checks below, as CI runs them
	@echo "make test: all good"

fmt: ## every file is as gofmt writes it
	@files="$$(gofmt -l .)"; test -z "$$files" || { echo "not as gofmt writes it:"; echo "$$files"; exit 1; }

fix: ## go fix has nothing to modernise
	$(GO) fix -diff ./...
	cd integration && $(GO) fix -diff ./...

vet: ## go vet
	$(GO) vet ./...
	cd integration && $(GO) vet ./...

lint: ## staticcheck
	$(STATICCHECK) ./...
	cd integration && $(STATICCHECK) ./...

unit: ## unit tests, with the race detector; the plain loops too, which other systems have
	$(GO) test -race $(TESTFLAGS) ./...
	$(GO) test -race -tags yesterday_portable $(TESTFLAGS) ./udp ./internal/probe

fuzz: ## each fuzz target for FUZZTIME (3s)
	GO="$(GO)" tools/fuzz $(FUZZTIME)

cross: ## build and vet for the other systems, and where an int has 32 bits
	@set -e; for p in $(PLATFORMS); do \
		echo "GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build + vet ./..."; \
		GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build ./...; \
		GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) vet ./...; \
	done

# -count=1: the program under test is not part of the tests' own package, so Go's cache would not see it change.
# -v: a test that skips is to say so.
integration: ## the built program against real clients, in network namespaces where root
	cd integration && $(GO) test -count=1 -v -timeout 10m ./...

docs: ## write the tables of docs/clients.md anew, by all real clients (root)
	cd integration && YESTERDAY_REQUIRE=1 YESTERDAY_WRITE_DOCS=1 $(GO) test -count=1 -run '^Test(ClientVersions|NTPClients|Rollover|LeapSecond|Faults|FaultCorrupt)$$' .

accuracy: ## NTP's error beside chronyd's, each asked 200 times, in turn; five rounds (root)
	cd integration && YESTERDAY_REQUIRE=1 $(GO) test -run '^$$' -bench '^BenchmarkAccuracy$$' -benchtime 200x -count 5 .

peers: deps ## this server beside others: PEERS_ROUNDS rounds (5), ten minutes; writes docs/performance.md (root)
	cd integration && YESTERDAY_PEERS=$(PEERS_ROUNDS) YESTERDAY_PEERS_SECONDS=$(PEERS_SECONDS) \
		$(GO) test -count=1 -v -timeout 30m -run '^TestPeers$$' .

bench: ## all benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

soak: ## SOAK (10 million) malformed datagrams; the server answers afterwards and has not grown
	cd integration && YESTERDAY_SOAK=$(SOAK) $(GO) test -count=1 -v -timeout 60m -run '^TestSoak$$' ./...

cover: ## how much of the code the unit tests run
	$(GO) test -coverpkg=./... -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out | tail -n 1

deps: ## install the real clients that integration/ runs (Debian, root)
	tools/deps
