# What a person types. `make help` lists it.
#
# CARGO_TARGET_DIR is respected; everything else that is downloaded or built stays below target/.

# Programs that scripts/install-tools.sh had to unpack come first; Debian keeps servers in /usr/sbin, and a shell that was
# open before rustup ran does not know its folder.
export PATH := $(CURDIR)/target/tools/bin:$(PATH):/usr/sbin:$(HOME)/.cargo/bin

FOLDER ?= zones
BENCH ?=

.PHONY: help run test fuzz torture bench bench-scale bench-kubernetes bench-health instructions lint fmt clippy features doc circles deny hadolint kubernetes shellcheck

help: ## Lists these words
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile

run: ## Installs what building needs and serves zones/ (or FOLDER=path) on 127.0.0.1:5300
	scripts/install-tools.sh build
	cargo run --release --locked -- serve $(FOLDER)

test: ## Installs what the tests need (a C compiler, dig and friends), runs all of them, and names those that were skipped
	scripts/install-tools.sh build test
	scripts/build-go-program.sh coredns || echo "going on without CoreDNS" >&2
	scripts/build-go-program.sh kube-apiserver || echo "going on without kube-apiserver" >&2
	scripts/build-go-program.sh etcd || echo "going on without lists as streams" >&2
	scripts/axe.sh || echo "going on without axe-core" >&2
	scripts/test.sh --features hickory

fuzz: ## Feeds each reader of foreign bytes with what a fuzzer thinks of, for a minute each (or SECONDS_EACH=20)
	scripts/install-tools.sh build fuzz
	scripts/fuzz.sh

torture: ## Takes the server's limits by force, ROUNDS=3 times, then puts it under load for SECONDS_UNDER_LOAD=600
	scripts/install-tools.sh build test
	scripts/torture.sh

bench: ## Installs Knot, NSD, BIND, unbound, CoreDNS and dnsperf, and measures beside them; BENCH='--mix a' passes options on
	scripts/install-tools.sh build bench
	scripts/build-go-program.sh coredns || echo "going on without CoreDNS" >&2
	cargo bench --locked --bench load -- compare $(BENCH)
	cargo bench --locked --bench line

bench-scale: ## Makes a mesh of a million endpoints below target/ and measures with it; BENCH=--quick is a tenth of it
	scripts/install-tools.sh build bench
	cargo bench --locked --bench load -- scale $(BENCH)

bench-kubernetes: ## Streams a cluster of 220,000 objects to it from memory, and patches Pods at a real API server; BENCH=--quick is a tenth of it
	scripts/install-tools.sh build test
	scripts/build-go-program.sh kube-apiserver || echo "going on without kube-apiserver" >&2
	cargo bench --locked --bench load -- kubernetes $(BENCH)

bench-health: ## Checks 100,000 VMs on loopback addresses over TCP and HTTP, and asks meanwhile; BENCH=--quick is a tenth of it
	scripts/install-tools.sh build
	cargo bench --locked --bench load -- health $(BENCH)

instructions: ## Counts the instructions a query takes and compares them with benches/instructions.txt
	scripts/install-tools.sh build instructions
	scripts/instructions.sh

lint: fmt clippy features doc circles deny hadolint kubernetes shellcheck ## Everything that CI checks besides the tests

fmt:
	cargo fmt --check

clippy:
	cargo clippy --locked --all-targets --features hickory -- -D warnings

# hickory-server's features make methods required that are not there without them. `clippy` checks `hickory` alone.
features:
	cargo clippy --locked -- -D warnings
	cargo clippy --locked --lib --bins --no-default-features -- -D warnings
	cargo clippy --locked --lib --features hickory-dnssec -- -D warnings
	cargo clippy --locked --lib --features hickory-metrics -- -D warnings
	cargo clippy --locked --lib --features hickory-dnssec,hickory-metrics -- -D warnings

doc:
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --features hickory

circles:
	scripts/install-tools.sh circles
	scripts/circles.py src/lib.rs benches/load/main.rs

deny:
	scripts/deny.sh

hadolint:
	scripts/hadolint.sh Dockerfile

# A kustomization is no object of Kubernetes'.
kubernetes:
	scripts/kubernetes.sh $(filter-out %/kustomization.yaml,$(wildcard deploy/kubernetes/*.yaml deploy/kubernetes-folder/*.yaml))

shellcheck:
	scripts/install-tools.sh lint
	shellcheck scripts/*.sh .ci/run
