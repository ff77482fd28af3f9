# SPDX-License-Identifier: GPL-2.0
"""Runs the tests; called by the script "run"."""
import sys

import harness
import test_conf
import test_control
import test_dnsmasq
import test_filter
import test_hello
import test_kernel
import test_network
import test_qemu
import test_state
import test_uplink

sys.exit(harness.run(harness.collect(test_hello, test_control, test_conf, test_state, test_network,
                                     test_filter, test_dnsmasq, test_uplink,
                                     test_kernel, test_qemu)))
