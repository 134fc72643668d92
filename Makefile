# Needs Go; `make test` a C compiler too, `make image` Docker.

GO      ?= go
BIN     ?= bin
IMAGE   ?= registry-gc
# A tarball has no history, and neither has a fresh repository.
VERSION ?= $(shell git describe --always --dirty 2>/dev/null || echo dev)
# What Go records by itself when it builds in a checkout, and cannot in an image.
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
DATE    ?= $(shell git show --no-patch --format=%cI HEAD 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help build test demo bench docs lint check image clean

help: ## print this text
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-14s%s\n", $$1, $$2 }'

build: ## build static programs into bin/, for another system with GOOS and GOARCH
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.linkedVersion=$(VERSION)' -o '$(BIN)/' ./cmd/...

# The race detector is written in C, so that it needs what programs here do without.
test: ## run the tests of the program with the race detector, in random order
	@command -v "$$($(GO) env CC | cut -d' ' -f1)" >/dev/null || { \
		echo "make test: the race detector needs a C compiler, and there is no $$($(GO) env CC): install gcc or clang," >&2; \
		echo "or leave the detector out: $(GO) test -shuffle=on ./..." >&2; \
		exit 1; }
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 10m $(TESTFLAGS) ./...

demo: ## show a plan, an explanation, apply and undo on a stand-in for GitLab
	@$(GO) run ./demo

bench: ## measure the whole program beside the sequential algorithm (ARGS=-quick: a glance)
	$(GO) run ./bench $(ARGS)

docs: ## write the tables of settings into the documents
	$(GO) test ./cmd/registry-gc -run '^TestDocumentedSettings$$' -count=1 -update

lint: ## check formatting, go vet, go.mod and staticcheck
	bash .ci/run format vet tidy staticcheck

check: ## run everything that decides whether a change is good
	bash .ci/run

image: ## build the container image for this machine
	docker build --build-arg VERSION='$(VERSION)' --build-arg COMMIT='$(COMMIT)' --build-arg DATE='$(DATE)' --tag '$(IMAGE):$(VERSION)' .

clean: ## remove what was built
	rm -rf bin dist
