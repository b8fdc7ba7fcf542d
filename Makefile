GO ?= go
FUZZTIME ?= 60s
UPLOT = uplot@1.6.32
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: build test race lint elsewhere generate generated manifests bench powercut faults curves soak beside-wrk fuzz vendor-web histories recorded run history selftest selftest-summary release namespaces

build: ## bin/eventobench
	$(GO) build -o bin/ ./cmd/eventobench

# That of lint vets: to do so again would take a tenth of a first run.
# Four packages at once: most of them wait more than they compute.
test: ## every test but those that take long, which EVENTOBENCH_LONG_TESTS=1 adds; the longest packages first
	$(GO) test -vet=off -p 4 ./cmd/... ./server/transport ./...

# Packages that start goroutines. The others' functions are in their programs; tests that
# have nothing to race say so themselves (testlong.NotRaced, [race] in scripts).
RACED = ./cmd/... ./server/... ./profiles/... ./loadgen/...

# What is translated from C has memory of its own, in which the detector finds nothing and
# which takes it five times as long.
NOT_RACED = -gcflags='modernc.org/...=-race=false'

# Each process under the detector rests a second at its end otherwise.
race: ## the tests of what runs side by side, under the race detector
	GORACE=atexit_sleep_ms=100 $(GO) test -race $(NOT_RACED) -vet=off -p 4 $(RACED)

lint: ## gofmt, vet, staticcheck, other systems, whether generated code is current, and what is in deploy
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these files"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(MAKE) --no-print-directory elsewhere generated manifests

# Nobody runs it: what is not optimized takes a third less time.
PLAIN = -gcflags='all=-N -l -dwarf=false'

elsewhere: ## vet and link for a macOS and a FreeBSD, of what tells systems apart
	for system in darwin/arm64 freebsd/amd64; do \
	  export CGO_ENABLED=0 GOOS=$${system%/*} GOARCH=$${system#*/} && \
	  $(GO) vet $(PLAIN) ./cmd/... ./loadgen/... ./profiles/... && $(GO) build $(PLAIN) -o /dev/null ./cmd/eventobench || exit 1; \
	done

WIRE = server/wire

generate: ## the Go code of the .proto file, without a protoc that must be installed
	cd tools/protogen && $(GO) run . $(CURDIR)/$(WIRE)

generated: ## the code that is checked in must be what generate makes
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && cp $(WIRE)/*.proto "$$dir" && \
	  (cd tools/protogen && $(GO) vet . && $(GO) run . "$$dir") && \
	  for file in "$$dir"/*; do cmp "$$file" "$(WIRE)/$${file##*/}" || { echo "run make generate"; exit 1; }; done

manifests: ## those in deploy must be what Kubernetes and systemd take
	cd tools/manifests && $(GO) vet . && $(GO) test -count=1 .

bench: ## speed of the parts
	$(GO) test -run '^$$' -bench . ./...

powercut: ## 100,000 states of the disk that a power cut may leave of the event store, and what each of them lacks
	EVENTOBENCH_POWERCUT_STATES=100000 $(GO) test -count=1 -timeout=60m -v -run PowerCut ./server/sqlite

faults: ## make each write, sync, truncation and removal of the event store fail once; takes half an hour
	EVENTOBENCH_EVERY_FAULT=1 $(GO) test -count=1 -timeout=90m -v -run 'ErrorsAtEveryCall|ShortWrites' ./server/sqlite

SIZES = 10000,100000,1000000
SUBSCRIBERS = 10,100,1000

curves: ## what the event store costs by SIZES (messages) and SUBSCRIBERS, as tables
	$(GO) test -v -count=1 -timeout=60m -run Curves ./server/curves -args -sizes=$(SIZES) -subscribers=$(SUBSCRIBERS) -events=200

SOAK = 100000
SOAK_FOR = 2m
SOAK_EVERY = 10s

soak: ## SOAK subscribers of the event store on one category for SOAK_FOR: lost events, delays, memory; 100000 take 6 GB
	$(GO) test -v -count=1 -timeout=60m -run Soak ./server/curves -args -soak=$(SOAK) -soak-for=$(SOAK_FOR) -soak-every=$(SOAK_EVERY)

beside-wrk: ## what the generator uses per request beside wrk, and its memory for 10,000 connections
	$(GO) test -v -count=1 ./loadgen/cost -args -seconds=5 -turns=5 -many=10000

fuzz: ## every fuzz target in turn, for FUZZTIME each
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$pkg || exit 1; \
	  done; \
	done

histories: ## a million calls from 32 clients to a server that is killed meanwhile, checked for linearizability
	EVENTOBENCH_HISTORY_CALLS=1000000 $(GO) test ./cmd/eventobench -run '^TestHistories$$' -v -timeout 1h

vendor-web: ## fetch the charting library of the HTML report again; its files must have the recorded sums
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	  npm pack --silent --pack-destination "$$dir" $(UPLOT) && tar -xzf "$$dir"/*.tgz -C "$$dir" && \
	  cp "$$dir"/package/dist/uPlot.iife.min.js "$$dir"/package/dist/uPlot.min.css compare/render/html/web/vendor/ && \
	  cp "$$dir"/package/LICENSE compare/render/html/web/vendor/uPlot.LICENSE
	cd compare/render/html/web/vendor && sha256sum --check SHA256SUMS

RECORDED = compare/testdata/recorded
SHORT = run --quiet --transport=nethttp,fasthttp --seed=1 --slice=25ms --workers=8

recorded: ## record again the folders that tests read, and the figures they must show
	rm -rf $(RECORDED)/pair $(RECORDED)/open
	$(GO) run ./cmd/eventobench $(SHORT) --blocks=12 --rounds=6 --warmup=200 --out=$(RECORDED)/pair
	$(GO) run ./cmd/eventobench $(SHORT) --blocks=2 --rounds=4 --warmup=100 --rate=2000/s --out=$(RECORDED)/open
	$(GO) test ./compare -run RecordedFigures -update
	dirs=$$($(GO) run ./cmd/eventobench run --quiet --blocks=12 --rounds=20 --codec=std --seed=1 \
	  --transport=nethttp,fasthttp,fasthttp-adapter --out=$$(mktemp -d)) && \
	  $(GO) run ./cmd/eventobench compare --format=json --out=$(RECORDED)/three.json.gz $$dirs

run: ## the main job: three transports side by side, in about a minute
	$(GO) run ./cmd/eventobench run --transport=nethttp --transport=fasthttp --transport=fasthttp-adapter

HISTORY = docs/history.jsonl
COMMITS ?= HEAD
BASE ?= $(shell sed -n '$$s/.*"base":{.*"commit":"\([0-9a-f]*\)".*"head":.*/\1/p' $(HISTORY))

history: build ## gate COMMITS (oldest first) against BASE, else that of the last line, for docs/history.jsonl and .svg
	@test -n "$(BASE)" || { echo "$(HISTORY) is empty: name the first base, as in make history BASE=v0.1.0"; exit 1; }
	tools/gate-commits $(HISTORY) "$(BASE)" "$(COMMITS)" || test $$? = 1
	bin/eventobench history --format=svg --out=docs/history.svg $(HISTORY)
	bin/eventobench history $(HISTORY)

SELFTEST = bin/selftest.jsonl
CASES ?= none:60,cpu=3%:20,cpu=5%:20,alloc=100B:20
LIMIT ?= 8h

# Outcomes are kept outside of what the program is built from, so that one that was stopped
# goes on with the same program.
selftest: build ## record CASES or go on with them, beginning none after LIMIT; then make selftest-summary
	bin/eventobench selftest --case='$(CASES)' --state=$(SELFTEST) --time-limit=$(LIMIT)

selftest-summary: build ## add what make selftest recorded to docs/selftest.jsonl, which gates' comments count
	bin/eventobench selftest --recorded=$(SELFTEST) --summary=docs/selftest.jsonl

RUNS ?= 10

namespaces: build ## RUNS gates of a program against itself, and two against another, on four hosts that are network namespaces
	tools/namespaces $(RUNS)

release: ## archives of the commit for all systems, with man pages, completions and SHA256SUMS, in dist/
	tools/release
