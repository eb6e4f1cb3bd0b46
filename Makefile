# The commands of the suite. Each installs what it needs and is missing, and may be repeated.
#
#   make demo     the tutorial's network in namespaces, built and shown working
#   make build    the release programs into bin/: static, with musl and libmnl in them
#                 ARCH=arm64 builds for arm64, into bin-arm64/
#                 STATIC=0 links them with the system's libc and libmnl
#   make test     unit tests, then integration tests against bin/
#   make test-arm64  the programs for arm64 as emulated processes, and the demo on an emulated machine
#   make bench    our chain and its neighbours, measured side by side
#   make model    the model of the lease store, checked with spin
#   make test-kernels  the integration tests inside virtual machines with Debian's kernels, by hand
#   make image    the container image, into humanz-amd64.tar; with ARCH=arm64 into humanz-arm64.tar
#   make lint     the formatter's and the interpreters' own checks
#   make install  DESTDIR=… CNI_BIN_DIR=/opt/cni/bin CNI_CONF_DIR=/etc/cni/net.d
#                 BIN_DIR=/usr/local/bin UNIT_DIR=/lib/systemd/system SHARE_DIR=/usr/local/share
#                 LOGROTATE_DIR=/etc/logrotate.d
#
# HUMANZ_EMBEDDED=0 builds the plugins as ordinary Swift with a static standard library, for a
# toolchain without the embedded one.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: build test model test-arm64 test-kernels test-kernels-short bench image lint demo install clean \
  needs-build needs-demo needs-test needs-kernels needs-bench needs-model

PLUGINS := humanz-bridge humanz-ipam humanz-route
PYTHON := /usr/bin/python3
DESTDIR ?=
CNI_BIN_DIR ?= /opt/cni/bin
CNI_CONF_DIR ?= /etc/cni/net.d
BIN_DIR ?= /usr/local/bin
UNIT_DIR ?= /lib/systemd/system
SHARE_DIR ?= /usr/local/share
LOGROTATE_DIR ?= /etc/logrotate.d

# This machine's architecture, and the one to build for, by Debian's names.
HOST := $(patsubst x86_64,amd64,$(patsubst aarch64,arm64,$(shell uname -m)))
ARCH ?= $(HOST)
BIN := $(if $(filter $(HOST),$(ARCH)),bin,bin-$(ARCH))
STATIC ?= 1
export STATIC
ifeq ($(HUMANZ_EMBEDDED),0)
STATIC := 0
endif

ifneq ($(STATIC),0)
TRIPLE_amd64 := x86_64-unknown-none-elf
TRIPLE_arm64 := aarch64-none-none-elf
LIBRARIES := $(CURDIR)/.build-static-deps/$(ARCH)
KEYRING := debian-archive-keyring
RELEASE := -c release --triple $(TRIPLE_$(ARCH))
NEEDS_BUILD := $(if $(wildcard /usr/share/keyrings/$(KEYRING).gpg),,$(KEYRING))
build: export HUMANZ_STATIC_LIBRARIES := $(LIBRARIES)
else
$(if $(filter-out $(HOST),$(ARCH)),$(error ARCH=$(ARCH) is built statically only))
# The plugins' libraries are the system's: nothing is looked for beside the plugins.
RELEASE := -c release --disable-local-rpath
ifeq ($(HUMANZ_EMBEDDED),0)
export HUMANZ_EMBEDDED
RELEASE += --static-swift-stdlib --scratch-path .build-ordinary
endif
NEEDS_BUILD := libmnl-dev pkg-config
endif
NEEDS_DEMO := iproute2 iputils-ping curl python3 procps
NEEDS_TEST := $(NEEDS_DEMO) libmnl-dev pkg-config python3-pytest python3-hypothesis containernetworking-plugins \
  busybox-static nftables iptables strace arping binutils podman containerd runc python3-grpcio \
  bird2 frr gcc spin systemd prometheus logrotate buildah openssl python3-yaml python3-kubernetes zsh fish tcpdump ethtool $(if $(shell command -v kubectl),,kubernetes-client)
NEEDS_TEST_ARM64 := $(NEEDS_TEST) qemu-user-static qemu-system-arm kmod
NEEDS_KERNELS := $(NEEDS_TEST) qemu-system-x86 kmod xz-utils debian-archive-keyring
NEEDS_MODEL := spin gcc python3
NEEDS_BENCH := gcc libmnl-dev iproute2 python3 containernetworking-plugins nftables iptables

needs-build:
	@Scripts/install-missing $(NEEDS_BUILD)
needs-demo:
	@Scripts/install-missing $(NEEDS_DEMO)
needs-test:
	@Scripts/install-missing $(NEEDS_TEST)
needs-kernels:
	@Scripts/install-missing $(NEEDS_KERNELS)
needs-model:
	@Scripts/install-missing $(NEEDS_MODEL)
needs-bench:
	@Scripts/install-missing $(NEEDS_BENCH)

build: needs-build
	@Scripts/check-compiler
	$(if $(LIBRARIES),Scripts/static-libraries $(ARCH) $(LIBRARIES))
	swift build $(RELEASE)
	mkdir -p $(BIN)
	for program in $(PLUGINS) humanz; do \
	  install -m 0755 "$$(swift build $(RELEASE) --show-bin-path)/$$program" $(BIN)/; \
	done

test: needs-test build
	swift test
	$(PYTHON) -m pytest -q Tests/Integration

test-arm64: build
	@Scripts/install-missing $(NEEDS_TEST_ARM64)
	$(MAKE) build ARCH=arm64
	$(PYTHON) -m pytest -q Tests/Integration/static/test_arm64.py
	Scripts/test-arm64

test-kernels: needs-kernels build
	Scripts/test-kernels
test-kernels-short: needs-kernels build
	Scripts/test-kernels --short

model: needs-model
	nice $(PYTHON) Documentation/lease-store/check.py

bench: needs-bench build
	$(MAKE) -C Benchmarks

lint:
	swift format lint --strict --recursive Sources Tests Package.swift
	for script in .ci/run demo/run Scripts/* Tests/Kernels/{boot,inside,prepare}; do bash -n "$$script"; done
	$(PYTHON) -m compileall -q Tests Benchmarks Documentation

image: build
	@Scripts/install-missing buildah debian-archive-keyring
	Scripts/image $(ARCH) $(BIN) humanz-$(ARCH).tar

demo: needs-demo build
	demo/run

install: build
	install -d -m 0755 "$(DESTDIR)$(CNI_BIN_DIR)" "$(DESTDIR)$(CNI_CONF_DIR)"
	for program in $(PLUGINS); do install -m 0755 "$(BIN)/$$program" "$(DESTDIR)$(CNI_BIN_DIR)/"; done
	for file in conflists/*.conflist; do \
	  install -m 0644 "$$file" "$(DESTDIR)$(CNI_CONF_DIR)/$$(basename "$$file").example"; \
	done
	install -d -m 0755 "$(DESTDIR)$(UNIT_DIR)"
	for unit in systemd/*.service; do \
	  sed 's|/usr/local/bin|$(BIN_DIR)|g' "$$unit" >"$(DESTDIR)$(UNIT_DIR)/$$(basename "$$unit")"; \
	  chmod 0644 "$(DESTDIR)$(UNIT_DIR)/$$(basename "$$unit")"; \
	done
	install -D -m 0755 "$(BIN)/humanz" "$(DESTDIR)$(BIN_DIR)/humanz"
	install -D -m 0644 deploy/humanz.logrotate "$(DESTDIR)$(LOGROTATE_DIR)/humanz"
	install -D -m 0644 completions/humanz.bash "$(DESTDIR)$(SHARE_DIR)/bash-completion/completions/humanz"
	install -D -m 0644 completions/_humanz "$(DESTDIR)$(SHARE_DIR)/zsh/site-functions/_humanz"
	install -D -m 0644 completions/humanz.fish "$(DESTDIR)$(SHARE_DIR)/fish/vendor_completions.d/humanz.fish"

clean:
	rm -rf .build .build-* bin bin-* humanz-*.tar
