# SPDX-License-Identifier: Apache-2.0
# The commands of the suite. Each installs the packages that it needs, and can be repeated.
#
#   make help     this list
#   make demo     builds the tutorial's network in namespaces and shows that it works
#   make build    the release programs into bin/: static, with musl and libmnl in them
#                 ARCH=arm64 builds for arm64, into bin-arm64/
#                 STATIC=0 links them with the system's libc and libmnl
#   make test     the unit tests, then the integration tests with the programs in bin/
#   make tables   the unit tests' tables in the release build; a part of `make test`
#   make test-arm64  tests the programs for arm64 with qemu, and runs the demo on an emulated arm64 machine;
#                 test-arm64-short, which continuous integration runs, leaves the machine out
#   make fuzz     gives the parsers inputs that libFuzzer makes up, RUNS=5000000 for each of TARGETS, JOBS=1 at
#                 a time, and prints a table of what was tried. With MUTATIONS=all the programs get every odd
#                 value of every key as well, for most of an hour; not a part of `make test`
#   make bench    measures our chain and other plugins side by side
#   make torture  kills and fails every verb at every system call, then load, and ten minutes at full speed: an
#                 hour, and a table of what survived
#   make torture-long  the same with an hour at full speed
#   make model    checks the model of the lease store with spin
#   make sanitize  the unit tests under the sanitizers for addresses and threads; not a part of
#                 `make test`
#   make test-kernels  the integration tests in virtual machines with Debian's kernels; not a part of `make test`
#   make test-outage  a Kubernetes cluster whose API server stops for a minute; `make test` has ten seconds
#   make image    makes the container image humanz-amd64.tar, or humanz-arm64.tar with ARCH=arm64
#   make lint     runs swift format, shellcheck, zsh's and Python's syntax checks, and looks for licence lines
#   make install  builds, and installs programs, example conflists, units, completions and manual pages:
#                 DESTDIR=… CNI_BIN_DIR=/opt/cni/bin CNI_CONF_DIR=/etc/cni/net.d
#                 BIN_DIR=/usr/local/bin UNIT_DIR=/lib/systemd/system SHARE_DIR=/usr/local/share
#                 LOGROTATE_DIR=/etc/logrotate.d
#   make install-files  as install, with the programs in bin/, without a build
#   make man      makes the manual pages in .build-manual/
#   make texts    updates the parts of Documentation/ that are made from the programs and the sources: run it after
#                 a change to a command or a message
#   make documentation  makes the libraries' documentation with DocC in .build-documentation/; warnings are errors
#   make dist     archives for amd64 and arm64, their checksums and an SPDX list of what is in them, into dist/
#                 ARCH=amd64 makes one of them; so do deb and rpm
#   make reproducible  two builds of this commit in two folders, compared byte by byte; ARCH= as for dist
#   make deb      Debian packages for amd64 and arm64, into dist/
#   make rpm      RPM packages for x86_64 and aarch64, into dist/
#   make test-packages  the packages and the README's commands in a clean Debian system
#   make clean    removes everything that the other commands made
#
# HUMANZ_EMBEDDED=0 builds the plugins as ordinary Swift with a static standard library, for a
# toolchain without Embedded Swift.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: help build test tables fuzz torture torture-long model sanitize test-arm64 test-arm64-short test-outage test-kernels \
  test-kernels-short bench image lint demo clean install install-files man texts documentation dist reproducible deb rpm \
  test-packages needs-build needs-demo needs-test needs-fuzz needs-kernels needs-torture needs-bench needs-model needs-lint \
  needs-deb needs-rpm needs-packages

PLUGINS := humanz-bridge humanz-ipam humanz-route
PYTHON := /usr/bin/python3
DESTDIR ?=
CNI_BIN_DIR ?= /opt/cni/bin
CNI_CONF_DIR ?= /etc/cni/net.d
BIN_DIR ?= /usr/local/bin
UNIT_DIR ?= /lib/systemd/system
SHARE_DIR ?= /usr/local/share
LOGROTATE_DIR ?= /etc/logrotate.d
ZSH_DIR ?= site-functions

# The version of the suite is in the sources only. Packed files have the time of the commit.
VERSION := $(shell sed -n 's/^public let suiteVersion = "\(.*\)"$$/\1/p' Sources/CNI/*.swift)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || date -r CHANGELOG.md +%s)
export VERSION SOURCE_DATE_EPOCH

# The architecture of this machine and the one to build for, by Debian's names.
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
# A folder for each architecture: in a folder where another one was built, SwiftPM may reuse its build plan.
RELEASE := -c release --triple $(TRIPLE_$(ARCH)) $(if $(filter $(HOST),$(ARCH)),,--scratch-path .build-$(ARCH))
NEEDS_BUILD := $(if $(wildcard /usr/share/keyrings/$(KEYRING).gpg),,$(KEYRING))
build tables: export HUMANZ_STATIC_LIBRARIES := $(LIBRARIES)
else
$(if $(filter-out $(HOST),$(ARCH)),$(error ARCH=$(ARCH) is built statically only))
# The plugins use the system's libraries: no library beside the plugins is looked for.
RELEASE := -c release --disable-local-rpath --scratch-path $(if $(filter 0,$(HUMANZ_EMBEDDED)),.build-ordinary,.build-dynamic)
ifeq ($(HUMANZ_EMBEDDED),0)
export HUMANZ_EMBEDDED
RELEASE += --static-swift-stdlib
endif
NEEDS_BUILD := libmnl-dev pkg-config
endif
NEEDS_DEMO := iproute2 iputils-ping curl python3
NEEDS_TEST := $(NEEDS_DEMO) graphviz procps man-db valgrind libmnl-dev pkg-config python3-pytest python3-hypothesis containernetworking-plugins \
  busybox-static nftables iptables strace arping binutils podman containerd runc python3-grpcio \
  bird2 frr gcc spin systemd prometheus logrotate buildah openssl python3-yaml python3-kubernetes zsh fish tcpdump ethtool $(if $(shell command -v kubectl),,kubernetes-client)
NEEDS_TEST_ARM64 := $(NEEDS_TEST) qemu-user-static qemu-system-arm kmod
NEEDS_KERNELS := $(NEEDS_TEST) qemu-system-x86 kmod xz-utils debian-archive-keyring
NEEDS_TORTURE := $(NEEDS_DEMO) gcc libc6-dev nftables containernetworking-plugins
NEEDS_MODEL := spin gcc python3
# libFuzzer is in the toolchain; it is written in C++.
NEEDS_FUZZ := libmnl-dev pkg-config python3 g++
NEEDS_LINT := python3 shellcheck zsh git
NEEDS_DEB := python3 dpkg-dev debhelper fakeroot lintian
NEEDS_RPM := python3 rpm rpmlint
NEEDS_PACKAGES := $(NEEDS_DEB) $(NEEDS_RPM) $(NEEDS_TEST) debootstrap
NEEDS_BENCH := gcc libmnl-dev iproute2 python3 containernetworking-plugins nftables iptables

needs-build:
	@Scripts/install-missing $(NEEDS_BUILD)
needs-demo:
	@Scripts/install-missing $(NEEDS_DEMO)
needs-test:
	@Scripts/install-missing $(NEEDS_TEST)
needs-kernels:
	@Scripts/install-missing $(NEEDS_KERNELS)
needs-torture:
	@Scripts/install-missing $(NEEDS_TORTURE)
needs-fuzz:
	@Scripts/install-missing $(NEEDS_FUZZ)
needs-model:
	@Scripts/install-missing $(NEEDS_MODEL)
needs-bench:
	@Scripts/install-missing $(NEEDS_BENCH)
needs-lint:
	@Scripts/install-missing $(NEEDS_LINT)
needs-deb:
	@Scripts/install-missing $(NEEDS_DEB)
needs-rpm:
	@Scripts/install-missing $(NEEDS_RPM)
needs-packages:
	@Scripts/install-missing $(NEEDS_PACKAGES)

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

build: needs-build
	@Scripts/check-compiler
	$(if $(LIBRARIES),Scripts/static-libraries $(ARCH) $(LIBRARIES))
	swift build $(RELEASE)
	mkdir -p $(BIN)
	for program in $(PLUGINS) humanz; do \
	  install -m 0755 "$$(swift build $(RELEASE) --show-bin-path)/$$program" $(BIN)/; \
	done

test: needs-test tables
	swift test
	$(PYTHON) -m pytest -q Tests/Integration

# Runs the unit tests' tables in the release build.
tables: build
	HUMANZ_TABLES=1 swift build $(RELEASE) --product EmbeddedTables
	HUMANZ_TABLES=1 "$$(swift build $(RELEASE) --show-bin-path)/EmbeddedTables"

# The fuzz targets, and the release programs with values that no key expects.
RUNS ?= 5000000
JOBS ?= 1
TARGETS ?=
MUTATIONS ?=
fuzz: needs-fuzz
	HUMANZ_FUZZ=1 swift build -c release --product Fuzz --scratch-path .build-fuzz
	nice Scripts/fuzz --runs $(RUNS) --jobs $(JOBS) $(TARGETS)
ifneq ($(MUTATIONS),)
	$(MAKE) build needs-test
	HUMANZ_MUTATIONS=$(MUTATIONS) nice $(PYTHON) -m pytest -q Tests/Integration/spec/test_mutated_keys.py
endif

test-arm64: test-arm64-short
	@Scripts/install-missing $(NEEDS_TEST_ARM64)
	Scripts/test-arm64
test-arm64-short: needs-test build
	@Scripts/install-missing qemu-user-static
	$(MAKE) build ARCH=arm64
	$(PYTHON) -m pytest -q Tests/Integration/static/test_arm64.py

test-outage: needs-test build
	HUMANZ_OUTAGE=60 $(PYTHON) -m pytest -q Tests/Integration/runtimes/test_daemonset.py

test-kernels: needs-kernels build
	Scripts/test-kernels
test-kernels-short: needs-kernels build
	Scripts/test-kernels --short

torture: needs-torture build
	$(PYTHON) Scripts/torture
torture-long: needs-torture build
	$(PYTHON) Scripts/torture long --minutes 60

model: needs-model
	nice $(PYTHON) Documentation/lease-store/check.py

# One after the other, each with a build of its own (.build-sanitize-*, which `make clean` removes). XCTest and
# Foundation leak memory, so leaks are not asked for; a test has valgrind look at the programs. The toolchain has no
# sanitizer for undefined behaviour on Linux: Swift's own checks trap.
sanitize: needs-test
	for sanitizer in address thread; do \
	  ASAN_OPTIONS=detect_leaks=0 swift test --sanitize=$$sanitizer --scratch-path .build-sanitize-$$sanitizer; \
	done

bench: needs-bench build
	$(MAKE) -C Benchmarks

lint: needs-lint
	swift format lint --strict --recursive Sources Tests Examples Package.swift
	shellcheck completions/humanz.bash $$(git grep -lE '^#!/bin/(ba|busybox )sh' -- .ci demo Scripts Tests Documentation)
	zsh -n completions/_humanz
	Scripts/license-lines --check
	$(PYTHON) -m compileall -q Tests Benchmarks Documentation
	for script in $$(git grep -l '^#!/usr/bin/python3' -- Scripts); do \
	  $(PYTHON) -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' "$$script"; \
	done

image: build
	@Scripts/install-missing buildah debian-archive-keyring
	Scripts/image $(ARCH) $(BIN) humanz-$(ARCH).tar

demo: needs-demo build
	demo/run

install: build install-files

install-files: man
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
	install -D -m 0644 completions/humanz.bash "$(DESTDIR)$(SHARE_DIR)/bash-completion/completions/humanz"
	install -D -m 0644 completions/_humanz "$(DESTDIR)$(SHARE_DIR)/zsh/$(ZSH_DIR)/_humanz"
	install -D -m 0644 completions/humanz.fish "$(DESTDIR)$(SHARE_DIR)/fish/vendor_completions.d/humanz.fish"
	install -D -m 0644 deploy/humanz.logrotate "$(DESTDIR)$(LOGROTATE_DIR)/humanz"
	for section in 5 8; do \
	  install -d -m 0755 "$(DESTDIR)$(SHARE_DIR)/man/man$$section"; \
	  install -m 0644 .build-manual/*.$$section "$(DESTDIR)$(SHARE_DIR)/man/man$$section/"; \
	done

man:
	Scripts/manual .build-manual

documentation:
	Scripts/documentation .build-documentation

texts:
	Scripts/messages
	Scripts/commands

# Both architectures, unless ARCH names one.
PACKED := $(if $(filter command line environment,$(origin ARCH)),$(ARCH),amd64 arm64)
dist: $(PACKED:%=build-%)
	Scripts/dist $(PACKED)
deb: needs-deb $(PACKED:%=build-%)
	for architecture in $(PACKED); do Scripts/deb $$architecture; done
rpm: needs-rpm $(PACKED:%=build-%)
	for architecture in $(PACKED); do Scripts/rpm $$architecture; done
reproducible: needs-build
	Scripts/reproducible $(PACKED)
build-%:
	$(MAKE) build ARCH=$*

test-packages: needs-packages dist deb rpm
	HUMANZ_TEST_PACKAGES=1 $(PYTHON) -m pytest -q Tests/Integration/packages

clean:
	rm -rf .build .build-* bin bin-* dist humanz-*.tar .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
