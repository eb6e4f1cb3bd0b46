# The commands of the suite. Each installs what it needs and is missing, and may be repeated.
#
#   make demo     the tutorial's network in namespaces, built and shown working
#   make build    the release programs into bin/
#   make test     unit tests, then integration tests against bin/
#   make bench    our chain and its neighbours, measured side by side
#   make test-kernels  the integration tests inside virtual machines with Debian's kernels, by hand
#   make lint     the formatter's and the interpreters' own checks
#   make install  DESTDIR=… CNI_BIN_DIR=/opt/cni/bin CNI_CONF_DIR=/etc/cni/net.d
#                 UNIT_DIR=/lib/systemd/system
#
# HUMANZ_EMBEDDED=0 builds the plugins as ordinary Swift with a static standard library, for a
# toolchain without the embedded one.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: build test test-kernels test-kernels-short bench lint demo install clean \
  needs-build needs-demo needs-test needs-kernels needs-bench

PLUGINS := humanz-bridge humanz-ipam humanz-route
PYTHON := /usr/bin/python3
DESTDIR ?=
CNI_BIN_DIR ?= /opt/cni/bin
CNI_CONF_DIR ?= /etc/cni/net.d
UNIT_DIR ?= /lib/systemd/system

ifeq ($(HUMANZ_EMBEDDED),0)
export HUMANZ_EMBEDDED
RELEASE := -c release --static-swift-stdlib --scratch-path .build-static
else
RELEASE := -c release
endif
# The plugins' libraries are the system's: nothing is looked for beside the plugins.
RELEASE += --disable-local-rpath

NEEDS_BUILD := libmnl-dev pkg-config
NEEDS_DEMO := iproute2 iputils-ping curl python3 procps
NEEDS_TEST := $(NEEDS_DEMO) python3-pytest python3-hypothesis containernetworking-plugins \
  busybox-static nftables iptables strace arping binutils podman containerd runc python3-grpcio \
  bird2 frr gcc systemd $(if $(shell command -v kubectl),,kubernetes-client)
NEEDS_KERNELS := $(NEEDS_TEST) qemu-system-x86 kmod xz-utils debian-archive-keyring
NEEDS_BENCH := gcc libmnl-dev iproute2 python3 containernetworking-plugins nftables iptables

needs-build:
	@Scripts/install-missing $(NEEDS_BUILD)
needs-demo:
	@Scripts/install-missing $(NEEDS_DEMO)
needs-test:
	@Scripts/install-missing $(NEEDS_TEST)
needs-kernels:
	@Scripts/install-missing $(NEEDS_KERNELS)
needs-bench:
	@Scripts/install-missing $(NEEDS_BENCH)

build: needs-build
	swift build $(RELEASE)
	mkdir -p bin
	for program in $(PLUGINS) humanz; do \
	  install -m 0755 "$$(swift build $(RELEASE) --show-bin-path)/$$program" bin/; \
	done

test: needs-test build
	swift test
	$(PYTHON) -m pytest -q Tests/Integration

test-kernels: needs-kernels build
	Scripts/test-kernels
test-kernels-short: needs-kernels build
	Scripts/test-kernels --short

bench: needs-bench build
	$(MAKE) -C Benchmarks

lint:
	swift format lint --strict --recursive Sources Tests Package.swift
	for script in .ci/run demo/run Scripts/* Tests/Kernels/{boot,inside,prepare}; do bash -n "$$script"; done
	$(PYTHON) -m compileall -q Tests Benchmarks

demo: needs-demo build
	demo/run

install: build
	install -d -m 0755 "$(DESTDIR)$(CNI_BIN_DIR)" "$(DESTDIR)$(CNI_CONF_DIR)"
	for program in $(PLUGINS); do install -m 0755 "bin/$$program" "$(DESTDIR)$(CNI_BIN_DIR)/"; done
	for file in conflists/*.conflist; do \
	  install -m 0644 "$$file" "$(DESTDIR)$(CNI_CONF_DIR)/$$(basename "$$file").example"; \
	done
	install -d -m 0755 "$(DESTDIR)$(UNIT_DIR)"
	for unit in systemd/*.service; do \
	  sed 's|/opt/cni/bin|$(CNI_BIN_DIR)|g' "$$unit" >"$(DESTDIR)$(UNIT_DIR)/$$(basename "$$unit")"; \
	  chmod 0644 "$(DESTDIR)$(UNIT_DIR)/$$(basename "$$unit")"; \
	done

clean:
	rm -rf .build .build-* bin
