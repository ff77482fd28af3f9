# SPDX-License-Identifier: GPL-2.0
"""pvethd with the real kernel, whatever that has."""
import os
import shutil
import signal
import subprocess

from harness import BIN, PATIENCE, Daemon, Skip, check_contains, check_equal, wait_for


class RealDaemon(Daemon):
    """pvethd with netlink, in a network namespace of its own."""

    def args(self):
        return ['unshare', '--net', os.path.join(BIN, 'pvethd'), *super().args()[1:]]


def in_namespace(daemon, *lines):
    """Lines for ip(8)"""
    subprocess.run(['nsenter', f'--net=/proc/{daemon.process.pid}/ns/net', 'ip', '-batch', '-'],
                   input='\n'.join(lines).encode(), timeout=PATIENCE, check=True)


def test_real_kernel(daemon):
    """netlink: other kinds of interfaces, and the lack of the module, are told"""
    if os.geteuid() or not shutil.which('unshare'):
        raise Skip('a network namespace takes root, and unshare')
    if subprocess.run(['modprobe', '-n', 'pveth_host'], capture_output=True, timeout=PATIENCE,
                      check=False).returncode == 0:
        raise Skip('this machine has the module')
    real = RealDaemon()
    try:
        real.start()
        check_contains(real.log(), 'pveth_host is not loaded')
        real.fails_with(('add', 'lo'), "interface lo already, and it is no port (kind '')")
        real.fails_with(('add', 'vm1'), 'cannot make the interface vm1', 'modprobe pveth_host')
        check_equal(real.ctl('list', '--json').stdout, '[]\n', 'ports')
        in_namespace(real, 'link set lo up')
        wait_for(real.answers, 'pvethd lives after a report of the kernel')
        # More reports than there is room for: it looks at everything, once.
        real.process.send_signal(signal.SIGSTOP)
        in_namespace(real, *(f'link set lo mtu {1500 + i}' for i in range(1000)))
        real.process.send_signal(signal.SIGCONT)
        wait_for(lambda: real.log().count('too much at once') == 1, 'pvethd hears of it')
        in_namespace(real, 'link set lo mtu 1500')
        wait_for(real.answers, 'pvethd lives after lost reports')
        check_equal(real.log().count('too much at once'), 1, 'losses')
    finally:
        real.close()
    del daemon
