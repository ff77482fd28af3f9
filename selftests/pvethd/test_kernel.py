# SPDX-License-Identifier: GPL-2.0
"""pvethd with the real kernel, whatever that has."""
import os
import shutil
import subprocess

from harness import BIN, PATIENCE, Daemon, Skip, check_contains, check_equal, wait_for


class RealDaemon(Daemon):
    """pvethd with netlink, in a network namespace of its own."""

    def args(self):
        return ['unshare', '--net', os.path.join(BIN, 'pvethd'), *super().args()[1:]]


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
        subprocess.run(['nsenter', f'--net=/proc/{real.process.pid}/ns/net', 'ip', 'link', 'set',
                        'lo', 'up'], timeout=PATIENCE, check=True)
        wait_for(real.answers, 'pvethd lives after a report of the kernel')
    finally:
        real.close()
    del daemon
