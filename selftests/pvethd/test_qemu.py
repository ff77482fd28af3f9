# SPDX-License-Identifier: GPL-2.0
"""Stock QEMU as the client. The test plays processor and guest (qtest)."""
import contextlib
import json
import os
import shutil
import socket
import subprocess

from harness import PATIENCE, Skip, check_equal, wait_for

QEMU = 'qemu-system-x86_64'

# Where the guest of this test puts the device
BAR0 = 0xe0000000
BAR2 = 0x100000000
DOORBELL = BAR0 + 12
IVPOSITION = BAR0 + 8


class Vm:
    """A QEMU whose processor stands still, and what a guest would do."""

    def __init__(self, daemon, *args):
        if not shutil.which(QEMU):
            raise Skip(f'there is no {QEMU}')
        qmp, qtest = self.pair(), self.pair()
        self.log_path = os.path.join(daemon.dir, 'qemu.log')
        with open(self.log_path, 'ab') as log:
            # pylint: disable-next=consider-using-with
            self.process = subprocess.Popen(
                [QEMU, '-machine', 'q35', '-accel', 'tcg', '-S', '-m', '64', '-display', 'none',
                 '-nodefaults', '-device', 'pcie-root-port,id=plug',
                 '-chardev', f'socket,id=qmp,fd={qmp[1].fileno()}', '-mon', 'qmp,mode=control',
                 '-chardev', f'socket,id=qtest,fd={qtest[1].fileno()}', '-qtest', 'chardev:qtest', '-qtest-log', '/dev/null',
                 *args], pass_fds=[qmp[1].fileno(), qtest[1].fileno()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        qmp[1].close()
        qtest[1].close()
        self.events = []
        self.qmp_socket, self.qmp_file = qmp[0], qmp[0].makefile('r')
        self.qtest_socket, self.qtest_file = qtest[0], qtest[0].makefile('r')

    @staticmethod
    def pair():
        pair = socket.socketpair()
        pair[0].settimeout(PATIENCE)
        return pair

    def greet(self):
        """Up to here QEMU has its hello, or it would not answer."""
        line = self.qmp_file.readline()
        check_equal('QMP' in line, True, f'greeting of QEMU, not {line!r}{self.log()}')
        self.qmp('qmp_capabilities')
        return self

    def log(self):
        with open(self.log_path, encoding='utf-8') as log:
            return log.read()

    def qmp(self, command, **arguments):
        request = {'execute': command, 'arguments': arguments}
        self.qmp_socket.sendall(json.dumps(request).encode() + b'\n')
        while True:
            reply = json.loads(self.qmp_file.readline())
            if 'error' in reply:
                raise AssertionError(f'{command}: {reply["error"]}')
            if 'return' in reply:
                return reply['return']
            self.events.append(reply['event'])

    def wait_event(self, name):
        """Until there has been one since the last call."""
        while name not in self.events:
            self.events.append(json.loads(self.qmp_file.readline())['event'])
        self.events.clear()

    def qtest(self, *words):
        self.qtest_socket.sendall((' '.join(words) + '\n').encode())
        while True:
            reply = self.qtest_file.readline().split()
            check_equal(bool(reply) and reply[0] in ('OK', 'IRQ'), True, f'qtest: {reply}')
            if reply[0] == 'OK':
                return reply[1:]

    def device(self, vendor=0x1af4, device=0x1110):
        """What query-pci says of a device: address and BARs."""
        def search(devices):
            for found in devices:
                if (found['id']['vendor'], found['id']['device']) == (vendor, device):
                    return found
                inner = search(found.get('pci_bridge', {}).get('devices', []))
                if inner:
                    return inner
            return None

        for bus in self.qmp('query-pci'):
            found = search(bus['devices'])
            if found:
                return found
        raise AssertionError(f'no device {vendor:x}:{device:x}')

    def config(self, device, register, value, width='l'):
        address = 0x80000000 | device['bus'] << 16 | device['slot'] << 11 | register & 0xfc
        self.qtest('outl', '0xcf8', hex(address))
        self.qtest(f'out{width}', hex(0xcfc + register % 4), hex(value))

    def enable(self):
        """Give the device its addresses, as a firmware would."""
        device = self.device()
        self.config(device, 0x10, BAR0)
        self.config(device, 0x18, BAR2 & 0xffffffff)
        self.config(device, 0x1c, BAR2 >> 32)
        self.config(device, 0x04, 2, 'w')

    def read_window(self, length):
        return bytes.fromhex(self.qtest('read', hex(BAR2), str(length))[0][2:])

    def close(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        for thing in (self.qmp_file, self.qtest_file, self.qmp_socket, self.qtest_socket):
            thing.close()


def bar2_size(vm):
    return {region['bar']: region['size'] for region in vm.device()['regions']}[2]


def machine(daemon, *args):
    return contextlib.closing(Vm(daemon, *args))


def test_qemu_device(daemon):
    """QEMU: takes the printed arguments, and BAR 2 is the window"""
    daemon.start()
    for queues, size in (1, '4M'), (3, '2M'), (16, '64M'):
        port = daemon.add(f'vm{queues}', '--queues', str(queues), '--window-size', size)
        with machine(daemon, *port['qemu_args']) as vm:
            vm.greet()
            check_equal(bar2_size(vm), port['window_size'], 'size of BAR 2')
            check_equal(vm.log(), '', 'messages of QEMU')


def test_qemu_doorbells(daemon):
    """QEMU: window and doorbells lead to the kernel, vector by vector"""
    daemon.start()
    port = daemon.add('vm1', '--queues', '2')
    with machine(daemon, *port['qemu_args']) as vm:
        vm.greet()
        vm.enable()
        check_equal(vm.qtest('readl', hex(IVPOSITION)), ['0x0000000000000001'], 'own ID')
        daemon.kernel('write vm1 window')
        check_equal(vm.read_window(6), b'window', 'BAR 2')
        for vector in range(3):
            vm.qtest('writel', hex(DOORBELL), hex(vector))
            rung = ['0', '0', '0']
            rung[vector] = '1'
            check_equal(daemon.kernel('kicks vm1').split(), rung, 'kicks')
        check_equal(vm.log(), '', 'messages of QEMU')


def test_qemu_daemon_dies(daemon):
    """QEMU: goes on when pvethd is killed"""
    daemon.start()
    port = daemon.add('vm1')
    with machine(daemon, *port['qemu_args']) as vm:
        vm.greet()
        vm.enable()
        daemon.kernel('write vm1 window')
        daemon.kill()
        check_equal(vm.read_window(6), b'window', 'BAR 2')
        vm.qtest('writel', hex(DOORBELL), '0x1')
        check_equal(vm.qmp('query-status')['status'], 'prelaunch', 'status')


def test_qemu_killed(daemon):
    """QEMU: when it is killed nothing of its guest is left open"""
    daemon.start()
    port = daemon.add('vm1')
    with machine(daemon, *port['qemu_args']) as vm:
        vm.greet()
    wait_for(lambda: daemon.guest_files() == 0, 'files are closed')
    daemon.kernel('detach vm1')
    with machine(daemon, *port['qemu_args']) as vm:
        vm.greet()


def test_qemu_waits(daemon):
    """QEMU: waits for the port to be free, and then starts"""
    daemon.start()
    port = daemon.add('vm1')
    with machine(daemon, *port['qemu_args']) as first:
        first.greet()
        with machine(daemon, *port['qemu_args']) as second:
            wait_for(lambda: [c['waiting'] for c in daemon.show('vm1')['clients']]
                     == [False, True], 'the second waits')
            daemon.kernel('detach vm1')
            second.greet()


def test_qemu_port_deleted(daemon):
    """QEMU: is not left frozen when the port that it waits for is deleted"""
    daemon.start()
    port = daemon.add('vm1')
    daemon.kernel('fail attach 12')
    with machine(daemon, *port['qemu_args']) as vm:
        wait_for(lambda: daemon.show('vm1')['clients'], 'QEMU is connected')
        daemon.ctl('del', 'vm1')
        vm.greet()
        vm.enable()
        check_equal(vm.read_window(8), bytes(8), 'BAR 2 of no port')


def test_qemu_plug(daemon):
    """QEMU: the device is plugged and unplugged, and nothing crashes"""
    daemon.start()
    port = daemon.add('vm1')
    path, vectors = port['socket'], port['queues'] + 1
    with machine(daemon) as vm:
        vm.greet()
        for turn in range(5):
            # Bus 1 is behind the root port.
            vm.config(vm.device(0x1b36, 0xc), 0x18, 0x010100)
            backend = {'type': 'socket', 'data': {
                'addr': {'type': 'unix', 'data': {'path': path}}, 'server': False}}
            vm.qmp('chardev-add', id=f'c{turn}', backend=backend)
            vm.qmp('device_add', driver='ivshmem-doorbell', id=f'd{turn}', bus='plug',
                   chardev=f'c{turn}', vectors=vectors)
            check_equal(bar2_size(vm), port['window_size'], 'size of BAR 2')
            daemon.kernel('detach vm1')
            vm.qmp('device_del', id=f'd{turn}')
            # Without an operating system a reset is what lets it go.
            vm.qmp('system_reset')
            vm.wait_event('DEVICE_DELETED')
            vm.qmp('chardev-remove', id=f'c{turn}')
        check_equal(vm.qmp('query-status')['status'], 'prelaunch', 'status')
