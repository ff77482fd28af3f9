# SPDX-License-Identifier: GPL-2.0
#
# make demo    a guest that talks to the world through pveth
# make check   all tests; ends with "N passed, N failed, N skipped"
# make bench   figures beside those of virtio-net, in build/bench; bench-short takes
#              less than 10 minutes
# make profile CARD=... WORK=...   where the time goes
#
# All install what they need, and run as root on Debian 12.

# Kernel to build the modules for: a flavour or a kit of scripts/kernel
KERNEL ?= stock

all: modules tools

modules:
	scripts/deps build
	scripts/modules $(KERNEL)

tools:
	scripts/deps build
	$(MAKE) -C hypervisor-side/pvethd O=$(CURDIR)/build/bin

demo:
	scripts/deps
	scripts/demo

check:
	scripts/deps
	scripts/check

# The same tests in the rig with the debug kernel as host and as guest
check-debug:
	scripts/deps
	scripts/check --only rig,guests --kernel debug

check-debug-short:
	scripts/deps
	scripts/check --only rig,guests --kernel debug --short

# A thousand ports in one network
check-scale:
	scripts/deps
	scripts/check --only scale

# Peers that do anything, to a host and to a guest with the debug kernel: PVETH_FUZZ_STEPS and
# PVETH_FUZZ_SEED say for how long, and what
fuzz:
	scripts/deps
	scripts/check --only fuzz --kernel debug

# Two host VMs with a guest each, in a network of OVN
check-ovn:
	scripts/deps build rig test ovn
	scripts/check --only ovn

# 50 boots with two guests each
soak:
	scripts/deps
	scripts/rig soak 50

# The rings beside those of the kernel's ringtest, without a VM
bench-ring:
	scripts/deps bench-ring
	scripts/bench-ring

# Figures beside those of virtio-net and others, in build/bench
bench:
	scripts/deps build rig bench
	scripts/bench

bench-short:
	scripts/deps build rig bench
	scripts/bench --short

# Where the time goes: CARD and WORK are those of scripts/bench
CARD ?= pveth-window
WORK ?= tcp-out-1500-1
profile:
	scripts/deps build rig bench
	scripts/bench --profile $(CARD) $(WORK)

lint:
	scripts/deps
	scripts/lint

clean:
	rm -rf build

.PHONY: all modules tools demo check check-debug check-debug-short check-scale check-ovn fuzz soak \
	bench bench-short bench-ring profile lint clean
