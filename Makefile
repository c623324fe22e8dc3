SHELL := /bin/bash
GO    ?= go
BIN   := bin

# Binaries erase plaintext from memory with it (decision 0075). With the tag, gRPC, which comes
# with Google's SDK, leaves out what keeps the linker from dropping dead code (decision 0100).
# Without cgo they are static, as images need them (decision 0149).
BUILD := CGO_ENABLED=0 GOEXPERIMENT=runtimesecret $(GO) build -trimpath -tags grpcnotrace

# Postgres comes from Debian's packages; the product runs its binaries privately and
# leaves the system's own server, if there is one, alone.
SUDO  := $(if $(filter 0,$(shell id -u)),,sudo)

.DEFAULT_GOAL := help
.PHONY: help deps site test-site app argocd-record build run run-vault test test-go test-app deps-browser screenshots faults faults-smoke deps-faults scale race fuzz vectors bench generate tidy clean binaries images deps-deploy test-deploy sbom licences reproducible vulnerabilities verify dead

# FUZZTIME is how long each fuzz target runs.
FUZZTIME ?= 30s

help: ## what can be done here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

APP := web/app

deps: ## install what is missing on a bare Debian machine (Postgres binaries)
	@if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && ! command -v postgres >/dev/null; then \
		echo "installing postgresql" && $(SUDO) apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends postgresql >/dev/null; \
	fi
	@$(GO) mod download

# The packages are installed again when their list changes, and the application is built again
# when something that it is made of does.
$(APP)/node_modules/.package-lock.json: $(APP)/package.json $(APP)/package-lock.json
	@command -v node >/dev/null || { echo "Node 20 or newer is needed to build the web application (with npm)"; exit 1; }
	cd $(APP) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(APP)/tools/types/node_modules/.package-lock.json: $(APP)/tools/types/package.json $(APP)/tools/types/package-lock.json
	cd $(APP)/tools/types && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(APP)/src/api/schema.d.ts: web/openapi.yaml $(APP)/tools/types/node_modules/.package-lock.json
	cd $(APP)/tools/types && npm run --silent generate
	@touch $@

$(APP)/dist/site/index.html: $(APP)/node_modules/.package-lock.json $(APP)/src/api/schema.d.ts $(shell find $(APP)/src $(APP)/public -type f) $(APP)/index.html $(APP)/vite.config.ts
	cd $(APP) && npm run --silent build
	@touch $@

app: $(APP)/dist/site/index.html ## build the web application, which sb-server embeds

build: deps app ## build sb-server, sb-agent and sb into bin/
	$(BUILD) -o $(BIN)/ ./cmd/...

run: build ## start everything on this machine and print what to try (Ctrl-C stops it)
	@exec $(BIN)/sb-server dev

run-vault: build ## the same, with a real Vault that is built and filled first
	$(GO) build -o .cache/run-vault ./test/servers/cmd/run-vault
	@exec .cache/run-vault $(BIN)/sb-server dev

# The browser comes from Debian's packages too.
deps-browser:
	@if ! command -v chromium >/dev/null; then \
		echo "installing chromium" && $(SUDO) apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null; \
	fi

# What the fault programme looks at processes, and cuts networks, with.
deps-faults:
	@if ! command -v strace >/dev/null || ! command -v nft >/dev/null || ! command -v ip >/dev/null; then \
		echo "installing strace, nftables and iproute2" && $(SUDO) apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends strace nftables iproute2 >/dev/null; \
	fi

test: deps test-go test-app test-deploy test-site ## set up what is needed (a real Vault is built once) and run every test

test-app: build deps-browser ## check the web application, and try it in a real browser against a real server
	cd $(APP) && npm run --silent lint && npm run --silent types && npm run --silent test && npm run --silent browser -- --project=app

# The documentation site. A version is built beside those that are there; SITE_BASE is the path that a server has it under.
SITE_VERSION ?= $(or $(shell git describe --tags --exact-match 2>/dev/null | sed 's/^v//'),$(shell sed -n 's/^var version = "\(.*\)"/\1/p' internal/build/version.go))
SITE         ?= site
SITE_BASE    ?= /

docs/.site/node_modules/.package-lock.json: docs/.site/package.json docs/.site/package-lock.json
	cd docs/.site && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

site: docs/.site/node_modules/.package-lock.json ## build the documentation into site/, under its version, beside those that are there
	@cd docs/.site && SITE_VERSION="$(SITE_VERSION)" SITE="$(abspath $(SITE))" SITE_BASE="$(SITE_BASE)" npm run --silent build

test-site: docs/.site/node_modules/.package-lock.json $(APP)/node_modules/.package-lock.json deps-browser ## build the documentation, and try it in a real browser without a network
	@cd docs/.site && npm run --silent asyncapi
	@rm -rf .cache/site && mkdir -p .cache/site/0.0.1 && echo '<!doctype html><title>0.0.1</title><link rel="icon" href="data:,"><p>an older version' > .cache/site/0.0.1/index.html
	@$(MAKE) --no-print-directory site SITE=.cache/site SITE_BASE=/
	@cd docs/.site && SITE_VERSION="$(SITE_VERSION)" node check.mjs ../../.cache/site

screenshots: build deps-browser ## take pictures of every page in both colour schemes, for the docs
	cd $(APP) && npm run --silent browser -- --project=screenshots

# Packages whose tests take longest come first, so that none of them is left alone at the end.
LONGEST := ./test/e2e ./nats ./web

# What fails is run once more by itself: two cores with ten servers on them are late now and then.
# What passes then is named at the end, and is a defect of the test (decision 0157).
GOTESTSUM := $(GO) tool -modfile=test/tools/go.mod gotestsum --format pkgname --rerun-fails=1 --rerun-fails-max-failures=5

# Tests wait for clocks, disks and elections more than they compute, so that one package more than
# there are cores keeps them busy; and what was vetted is not vetted again (decision 0172).
AT_ONCE ?= $(shell echo $$(($$(nproc) + 1)))

test-go: deps deps-faults app ## run the tests of all but the web application
	$(GO) vet ./...
	GOEXPERIMENT=runtimesecret $(GO) vet ./internal/erase
	cd test/servers/vault && $(GO) vet ./...
	cd test/servers/oidc && $(GO) vet ./...
	cd test/servers/witness && $(GO) vet ./...
	cd test/faults/powercut && $(GO) vet ./...
	$(GO) run ./test/servers/cmd/vault-binary >/dev/null
	@rm -f .cache/unsteady && mkdir -p .cache
	$(GOTESTSUM) --rerun-fails-report=.cache/unsteady --packages="$(LONGEST) ./..." -- -count=1 -timeout 25m -vet=off -p $(AT_ONCE)
	@if [ -s .cache/unsteady ]; then echo "unsteady tests, which failed and then passed:"; cat .cache/unsteady; fi
	cd test/servers/truth && $(GO) vet ./... && $(GO) test -count=1 ./...
	cd test/rules && $(GO) test -count=1 ./...
	cd test/docs && $(GO) vet ./... && $(GO) test -count=1 ./...

# What is shipped. The same commit gives the same bytes: every time in it is the commit's, or what
# SOURCE_DATE_EPOCH says where there is no history.
ARCHES   ?= amd64 arm64
VERSION  ?= $(shell sed -n 's/^var version = "\(.*\)"/\1/p' internal/build/version.go)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
CREATED  ?= $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),1)
RELEASE  = $(VERSION)$(if $(REVISION),+$(shell echo $(REVISION) | cut -c1-12))

binaries: app
	@for arch in $(ARCHES); do \
		GOOS=linux GOARCH=$$arch $(BUILD) -buildvcs=false -ldflags "-s -w -X secretsbridge/internal/build.version=$(RELEASE)" -o dist/binaries/linux-$$arch/ ./cmd/... || exit 1; \
	done

images: binaries ## build container images into dist/images/, without a daemon (the first build for arm64 takes minutes)
	cd deploy/supply && $(GO) run ./licences --check --notices ../../dist/LICENCES
	cd deploy && $(GO) run ./cmd/images --binaries ../dist/binaries --out ../dist/images --notices ../dist/LICENCES --arch "$$(echo $(ARCHES) | tr ' ' ,)" \
		--version "$(RELEASE)" --revision "$(REVISION)" --created "$(CREATED)"

# Units are checked by systemd's own tool.
deps-deploy:
	@if ! command -v systemd-analyze >/dev/null; then \
		echo "installing systemd" && $(SUDO) apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends systemd >/dev/null; \
	fi

test-deploy: build deps-deploy ## test images, charts, Compose files, units and the lists of what is linked (needs root, for mounts)
	cd deploy && $(GO) vet ./... && $(GO) test -count=1 ./...
	cd deploy/supply && $(GO) vet ./... && $(GO) test -count=1 ./...

sbom: ARCHES = amd64
sbom: binaries ## list what the programs link and the application bundles, as CycloneDX, in dist/sbom/
	@mkdir -p dist/sbom
	cd deploy/supply && for name in sb-server sb-agent sb; do \
		$(GO) tool cyclonedx-gomod bin -json -std -licenses -noserial -notimestamp -version "$(RELEASE)" -output ../../dist/sbom/$$name.cdx.json ../../dist/binaries/linux-amd64/$$name || exit 1; \
	done
	cd deploy/supply && $(GO) run ./sbom --version "$(RELEASE)" > ../../dist/sbom/application.cdx.json

licences: ## write docs/reference/licences.md again; fails at a kind of licence that nobody agreed to
	cd deploy/supply && $(GO) run ./licences

reproducible: ## build everything twice, in two folders, once from an empty cache, and compare (one cold build)
	deploy/reproducible.sh "$(VERSION)" "$(REVISION)" "$(CREATED)"

# VULNDB is where the database is, or "module": what Go's module proxy has of it.
VULNDB ?= https://vuln.go.dev

vulnerabilities: ## ask the Go team's database which known holes can be reached from here (VULNDB=module: without vuln.go.dev)
	deploy/vulnerabilities.sh "$(VULNDB)"

verify: ## check that modules are what go.sum says, in every go.mod here
	deploy/verify.sh

# What tests alone call belongs to tests. The tool ends well whatever it finds, so its words are looked at.
dead: ## name functions that no program reaches, and fails where there are any
	@found=$$($(GO) tool -modfile=test/tools/go.mod deadcode -tags grpcnotrace ./cmd/...) && if [ -n "$$found" ]; then echo "$$found"; exit 1; fi

# FAULTS_MOST bounds the trials of each line, FAULTS_SEED tries a run again, FAULTS_TABLE is a file for the table.
faults: deps deps-faults ## break disks, processes and links under the system, and print what survived (root; about two hours)
	$(GO) run ./test/servers/cmd/vault-binary >/dev/null
	FAULTS=full $(GO) test -count=1 -timeout 180m -v -run '^TestFaults$$' ./test/faults

faults-smoke: deps deps-faults ## the short form of it, which make test has too
	$(GO) test -count=1 -v -run '^TestFaults$$' ./test/faults

# SCALE is small (a minute or two) or full.
SCALE ?= full

scale: deps ## measure how it grows with agents, requests and secrets (up to 45 minutes; SCALE=small: a few)
	@mkdir -p .cache
	$(GO) run ./test/scale -size $(SCALE) -json .cache/scale.json

race: deps ## run the tests of the concurrent rooms under the race detector
	$(GO) test -race -count=1 ./accounts/... ./command/... ./custody/... ./kms/... ./gateway/... ./inventory/... ./rights/... ./worker/... ./agent ./identity/... ./web/... ./nats/...

fuzz: ## run each fuzz target for FUZZTIME (30s); what one finds stays in testdata/fuzz
	@set -o pipefail; for dir in $$(git ls-files -co --exclude-standard '*_test.go' | xargs grep -l '^func Fuzz' | xargs -n 1 dirname | sort -u); do \
		targets=$$($(GO) test -list '^Fuzz' ./$$dir | grep '^Fuzz') || { echo "no fuzz target is listed in $$dir"; exit 1; }; \
		for target in $$targets; do \
			echo "== $$dir $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10s ./$$dir || exit 1; \
		done; \
	done

vectors: ## take the official test vectors from their publishers again; git shows a difference
	cd test/vectors && $(GO) vet . && $(GO) run . ../../seal/testdata/vectors

# The answers of a real Argo CD are written down anew when its version changes; no test needs it.
ARGOCD := $(CURDIR)/.cache/argocd
KUBERNETES := -X k8s.io/component-base/version.gitVersion=v1.36.1 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36

argocd-record: ## build a real Argo CD and Kubernetes API and record what they answer (root; about 10 minutes once)
	@command -v etcd >/dev/null && command -v redis-server >/dev/null || \
		DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends etcd-server redis-server git >/dev/null
	cd test/servers/argocd && $(GO) build -ldflags "$(KUBERNETES)" -o $(ARGOCD)/kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
	cd test/servers/argocd && $(GO) build -ldflags "$(KUBERNETES)" -o $(ARGOCD)/kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager
	cd test/servers/argocd && $(GO) build -ldflags "-X github.com/argoproj/argo-cd/v3/common.version=3.5.7" -o $(ARGOCD)/argocd github.com/argoproj/argo-cd/v3/cmd
	cd test/servers/argocd && $(GO) build -o $(ARGOCD)/record .
	cd test/servers/argocd && $(ARGOCD)/record --fetch
	cd test/servers/argocd && unshare -n sh -c 'ip link set lo up && exec $(ARGOCD)/record --bin $(ARGOCD) --out $(CURDIR)/gitops/argocd/testdata/recorded'

bench: deps ## measure in about fifteen minutes; "ratio" compares with a raw baseline of the same run
	@echo "== append against raw publish (ratio, aim 0.8), counting a call against a raw update (ratio), rebuild against COPY (ratio, aim 0.5)," && \
	echo "== pages of a million secrets by a label (p99-ms, aim 10)," && \
	echo "== events verified (events/s, aim 300,000; ratio to bare SHA-256), proofs by a million commits (p50-ms, aim 1)," && \
	echo "== approve to ready (beyond-ms, aim 15), idle agent (MB-resident, aim 40)," && \
	echo "== 100,000 requests that end at one moment (stored-s and seen-s, aim 60; ratio to bare batches)," && \
	echo "== decisions by 1,000 rules (µs/decision, aim 50), permissions by 10,000 grants (µs/check, aim 5)," && \
	echo "== a million secrets in memory for rules (secrets/s, B/secret, ratio to decoding), and one of them (ns/op)," && \
	echo "== sign-ins (sign-ins/s, ms and MiB each)," && \
	echo "== approve to patched (beyond-ms), 1,000 patches of one secret (patches/s; lost, aim 0)," && \
	echo "== 1,000 applications of Argo CD looked at (s/period, aim 15; ratio to the same GETs unread)," && \
	echo "== commit to signed checkpoint at 500 a second (p99-ms, aim 1000)," && \
	echo "== facts to notices (rows/s, ratio to COPY), notices sent (sent/s, ratio to bare UPDATEs)" && set -o pipefail && { \
	$(GO) test -run '^$$' -bench 'Append|Take|Writer' -benchtime 4000x -count 3 ./nats && \
	$(GO) test -run '^$$' -bench Tail -benchtime 500x -count 3 ./projections && \
	$(GO) test -run '^$$' -bench Verify -benchtime 10x -count 3 -cpu 1 ./transparency && \
	$(GO) test -run '^$$' -bench Prove -benchtime 2000x ./projections && \
	$(GO) test -run '^$$' -bench 'Refold|Rebuild|Inventory' -benchtime 1x -timeout 30m ./projections && \
	$(GO) test -run '^$$' -bench . -benchtime 0.2s ./seal ./kms/... && \
	$(GO) test -run '^$$' -bench . -benchtime 0.5s -count 3 ./policy && \
	$(GO) test -run '^$$' -bench . -benchtime 300x -count 3 ./circumstances && \
	$(GO) test -run '^$$' -bench Expire -benchtime 1x -count 3 -timeout 30m ./test/ends && \
	$(GO) test -run '^$$' -bench ApproveToReady -benchtime 300x -count 3 -timeout 30m ./test/e2e && \
	$(GO) test -run '^$$' -bench Restore -benchtime 1x -timeout 30m ./cmd/sb-server && \
	$(GO) test -run '^$$' -bench PatchEndToEnd -benchtime 200x -timeout 30m ./test/e2e && \
	$(GO) test -run '^$$' -bench ThousandPatches -benchtime 1x -timeout 30m ./test/e2e && \
	$(GO) test -run '^$$' -bench List -benchtime 1x -timeout 30m ./agent/vault ./agent/file && \
	$(GO) test -run '^$$' -bench Scan -benchtime 1x -timeout 30m ./agent && \
	$(GO) test -run '^$$' -bench Scan -benchtime 1x -timeout 30m ./test/e2e && \
	$(GO) test -run '^$$' -bench Watch1000 -benchtime 5x ./gitops/argocd && \
	$(GO) test -run '^$$' -bench CheckpointLag -benchtime 1x -count 3 ./test/proof && \
	$(GO) test -run '^$$' -bench FanOut -benchtime 1x -count 3 ./test/notices && \
	$(GO) test -run '^$$' -bench SignIn -benchtime 100x ./store && \
	$(GO) test -run '^$$' -bench IdleAgentMemory -benchtime 1x -timeout 30m ./test/e2e ; \
	} | grep -E '^(Benchmark|pkg:|---|FAIL|panic)|_test.go'

generate: ## write generated documents and code again
	$(GO) generate ./...

tidy: ## format the code and tidy the modules
	gofmt -l -w $$(git ls-files '*.go')
	$(GO) mod tidy
	cd test/servers/truth && $(GO) mod tidy
	cd test/rules && $(GO) mod tidy
	cd test/servers/oidc && $(GO) mod tidy
	cd test/servers/witness && $(GO) mod tidy
	cd test/faults/powercut && $(GO) mod tidy
	cd test/faults/links && $(GO) mod tidy
	cd test/docs && $(GO) mod tidy
	cd deploy && $(GO) mod tidy
	cd deploy/supply && $(GO) mod tidy
	cd $(APP) && npm run --silent format

clean: ## remove what was built; data of `make run` stays in .data
	rm -rf $(BIN) .cache dist $(APP)/dist/site $(APP)/node_modules $(APP)/tools/types/node_modules
