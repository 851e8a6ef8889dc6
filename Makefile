# Builds, installs and tests paysync: the extension, the relay and the clients. Everything made lands below build/.
#
#   make            extension, relay, libpaysync and the paysync command
#   make demo       the product at work on a throw-away server
#   make check      every test; the last line holds the totals
#
# PG_CONFIG= picks the server to build against, DESTDIR=, prefix=, sysconfdir= and unitdir= say where to install, WERROR=1 makes
# warnings errors, V=1 shows every command.

PG_CONFIG ?= pg_config
prefix ?= /usr/local
sysconfdir ?= $(if $(filter /usr /usr/local,$(prefix)),/etc,$(prefix)/etc)
unitdir ?= $(prefix)/lib/systemd/system
BUILD ?= build
ifeq ($(strip $(BUILD)),)
$(error BUILD is empty: everything made would land in the root directory)
endif
PYTHON ?= /usr/bin/python3
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" extension/paysync.control)
ifeq ($(VERSION),)
$(error extension/paysync.control names no default_version)
endif

WERROR ?= $(if $(CI),1)
# Compilations are one short line each; V=1 shows the commands.
quiet := $(if $(V),,@)

WARNINGS := -Wall -Wextra -Wshadow -Wundef -Wnon-virtual-dtor $(if $(filter 1,$(WERROR)),-Werror)

# A make that already has a job count hands it down; otherwise the heavy targets take one job a processor.
parallel = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))
runner = BUILD=$(BUILD) PG_CONFIG=$(PG_CONFIG) $(PYTHON) tests/run

.DELETE_ON_ERROR:
.PHONY: all install stage deps demo check clean FORCE
.PHONY: check-unit check-build check-regress check-isolation check-python check-integration
.PHONY: mutants format format-check lint

all: extension relay clients

include extension/extension.mk
include tests/lib/objects.mk
include clients/clients.mk
include relay/relay.mk
include tests/lib/unit.mk
include tests/lib/bench.mk
include tests/lib/lint.mk

install: install-extension install-relay install-clients

# What the test servers load: the extension as installed, in a folder of its own.
stage: extension
	@rm -rf $(BUILD)/stage
	+$(MAKE) -s install-extension DESTDIR=$(abspath $(BUILD))/stage > /dev/null

deps:
	packaging/deps

demo: deps
	+$(MAKE) $(parallel) all
	+$(MAKE) -s stage
	BUILD=$(BUILD) PG_CONFIG=$(PG_CONFIG) $(PYTHON) tests/demo/run

check: deps
	+$(MAKE) $(parallel) all unit-tests
	+$(MAKE) -s stage
	$(runner)

check-unit: unit-tests
	$(runner) unit
check-build: all
	$(runner) build
check-regress: stage
	$(runner) regress
check-isolation: stage
	$(runner) isolation
check-python:
	$(runner) python
check-integration: all stage
	$(runner) integration

mutants:
	$(PYTHON) tests/mutants/run

# These exist as soon as there is something for them to run.
ifneq ($(wildcard tests/bench/run),)
.PHONY: bench bench-quick
# bench-quick: three minutes of the same, enough to see where we stand, not to promise anything.
bench bench-quick:
	packaging/deps --bench
	+$(MAKE) $(parallel) all bench-programs
	+$(MAKE) -s stage
	BUILD=$(BUILD) PG_CONFIG=$(PG_CONFIG) $(if $(filter bench-quick,$@),QUICK=1) tests/bench/run
endif
ifneq ($(wildcard tests/valgrind/run),)
.PHONY: valgrind
valgrind:
	packaging/deps --valgrind
	+$(MAKE) $(parallel) extension
	+$(MAKE) -s stage
	BUILD=$(BUILD) PG_CONFIG=$(PG_CONFIG) tests/valgrind/run
endif
ifneq ($(wildcard tests/property/run),)
.PHONY: property
property: all stage
	BUILD=$(BUILD) PG_CONFIG=$(PG_CONFIG) tests/property/run
endif
ifneq ($(wildcard tests/faults/run),)
.PHONY: faults
faults: all stage
	BUILD=$(BUILD) PG_CONFIG=$(PG_CONFIG) tests/faults/run
endif
ifneq ($(wildcard tests/fuzz/*.cpp),)
include tests/lib/fuzz.mk
endif

clean:
	rm -rf $(BUILD)
