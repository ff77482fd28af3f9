# SPDX-License-Identifier: GPL-2.0
"""The ivshmem protocol, and who is served when."""
import fcntl
import mmap
import os
import socket
import sys
import termios
import time

from harness import Qemu, check_contains, check_equal, listing, wait_for

F_GET_SEALS = 1034
SEAL_SEAL, SEAL_SHRINK, SEAL_GROW = 1, 2, 4


def attached(daemon, name):
    return daemon.kernel(f'show {name}').split()[-1] == '1'


def wait_clients(daemon, name, count, waiting):
    """Until so many QEMUs are connected, and so many of them wait."""
    wait_for(lambda: [len(daemon.show(name)['clients']),
                      sum(c['waiting'] for c in daemon.show(name)['clients'])]
             == [count, waiting], f'{count} clients, {waiting} waiting')


def queued(qemu):
    """Bytes that are there to be read."""
    count = bytearray(4)
    fcntl.ioctl(qemu.sock, termios.FIONREAD, count)
    return int.from_bytes(count, sys.byteorder)


def served(port, vectors):
    """A QEMU with its hello, and that."""
    qemu = Qemu(port)
    return qemu, *qemu.hello(vectors)


def test_order(daemon):
    """hello: order, IDs and files of each message, for 1 to 16 queue pairs"""
    daemon.start()
    for queues in 1, 2, 16:
        port = daemon.add(f'vm{queues}', '--queues', str(queues))
        qemu, *_ = served(port, queues + 1)
        check_equal(attached(daemon, f'vm{queues}'), True, 'attached')
        qemu.close()


def test_window(daemon):
    """hello: the window has its size, is sealed, and is the kernel's"""
    daemon.start()
    port = daemon.add('vm1', '--window-size', '8M')
    qemu, window, _, _ = served(port, 2)
    check_equal(os.fstat(window).st_size, 8 << 20, 'size')
    check_equal(fcntl.fcntl(window, F_GET_SEALS), SEAL_SEAL | SEAL_SHRINK | SEAL_GROW, 'seals')
    for size in 4 << 20, 16 << 20:
        try:
            os.ftruncate(window, size)
            raise AssertionError(f'resized to {size}')
        except PermissionError:
            pass
    daemon.kernel('write vm1 magic')
    with mmap.mmap(window, 8 << 20) as memory:
        check_equal(memory[:5], b'magic', 'what the kernel wrote')
        memory[:5] = b'guest'
    check_equal(daemon.kernel('read vm1 5'), 'guest', 'what the guest wrote')
    qemu.close()


def test_doorbells(daemon):
    """hello: each doorbell rings its vector at the other side"""
    daemon.start()
    port = daemon.add('vm1', '--queues', '3')
    qemu, _, kicks, calls = served(port, 4)
    for vector in range(4):
        os.write(kicks[vector], (vector + 1).to_bytes(8, 'little'))
    check_equal(daemon.kernel('kicks vm1'), '1 2 3 4', 'kicks')
    for vector in 2, 0, 3, 1:
        daemon.kernel(f'call vm1 {vector}')
        rung = []
        for index, call in enumerate(calls):
            try:
                os.read(call, 8)
                rung.append(index)
            except BlockingIOError:
                pass
        check_equal(rung, [vector], 'calls')
    qemu.close()


def test_fresh(daemon):
    """each QEMU gets a new window and new doorbells"""
    daemon.start()
    port = daemon.add('vm1')
    inodes = set()
    for _ in range(3):
        qemu, window, _, _ = served(port, 2)
        daemon.kernel('write vm1 old')
        with mmap.mmap(window, 4 << 20) as memory:
            check_equal(memory[:3], b'old', 'window')
        inodes.add(os.fstat(window).st_ino)
        qemu.close()
        daemon.kernel('detach vm1')
    check_equal(len(inodes), 3, 'windows')


def test_nothing_follows(daemon):
    """nothing follows the hello, whatever happens to the port"""
    daemon.start()
    port = daemon.add('vm1')
    qemu, *_ = served(port, 2)
    for event in 'detach vm1', 'changed', 'unlink vm1', 'link vm1 pveth 1', 'unload', 'load':
        daemon.kernel(event)
        daemon.ctl('list')
        qemu.silent()
    daemon.ctl('del', 'vm1')
    check_equal(qemu.sock.recv(8), b'', 'after the port is gone')
    qemu.close()


def test_reader_is_late(daemon):
    """a QEMU that does not read holds up nobody, and finds its whole hello"""
    daemon.start()
    late = Qemu(daemon.add('late', '--queues', '16'))
    others = [daemon.add(f'vm{i}') for i in range(4)]
    for port in others:
        qemu, *_ = served(port, 2)
        qemu.close()
    late.hello(17)
    late.close()


def test_small_buffers(daemon):
    """a hello that does not fit into the socket goes on when it is read"""
    os.environ['FAKE_SNDBUF'] = '1'
    try:
        daemon.start()
    finally:
        del os.environ['FAKE_SNDBUF']
    port = daemon.add('vm1', '--queues', '16')
    other = daemon.add('vm2')
    qemu = Qemu(port)
    wait_for(lambda: attached(daemon, 'vm1'), 'vm1 is attached')
    second, *_ = served(other, 2)
    second.close()
    # Has it really stopped in the middle? Not all can be there.
    check_equal(queued(qemu) < 8 * 37, True, 'a part of the hello')
    qemu.hello(17)
    qemu.close()

    daemon.kernel('detach vm1')
    wait_clients(daemon, 'vm1', 0, 0)
    gone = Qemu(port)
    wait_for(lambda: attached(daemon, 'vm1'), 'vm1 is attached')
    gone.close()
    wait_for(lambda: daemon.guest_files() == 0, 'files of a QEMU gone in the middle')


def test_closes_anywhere(daemon):
    """a QEMU that goes away after any byte of the hello leaves nothing behind"""
    daemon.start()
    port = daemon.add('vm1')
    before = daemon.files()
    for length in range(8 * 7 + 1):
        qemu = Qemu(port)
        wait_for(lambda: attached(daemon, 'vm1'), 'vm1 is attached')
        left = length
        while left:
            left -= len(qemu.sock.recv(left))
        qemu.close()
        wait_for(lambda: daemon.guest_files() == 0, 'files of a QEMU that is gone')
        daemon.kernel('detach vm1')
    wait_for(lambda: daemon.files() == before, 'open files are as before')
    qemu, *_ = served(port, 2)
    qemu.close()


def test_second_waits(daemon):
    """a QEMU that finds the port taken waits, unanswered, till it is free"""
    daemon.start()
    port = daemon.add('vm1')
    first, *_ = served(port, 2)
    second, third = Qemu(port), None
    wait_clients(daemon, 'vm1', 2, 1)
    third = Qemu(port)
    wait_clients(daemon, 'vm1', 3, 2)
    check_contains(daemon.show('vm1')['problem'], 'waits')
    # QEMU may have closed the device and kept the connection.
    check_equal(daemon.guest_files(), 0, 'files that keep the port from being free')
    daemon.kernel('changed')
    daemon.ctl('list')
    for qemu in first, second, third:
        qemu.silent()

    daemon.kernel('detach vm1')
    second.hello(2)
    third.silent()
    check_equal(daemon.show('vm1')['clients'][2]['waiting'], True, 'third waits')
    second.close()
    wait_clients(daemon, 'vm1', 2, 1)
    third.silent()
    daemon.kernel('detach vm1')
    third.hello(2)
    check_equal(daemon.show('vm1')['problem'], None, 'problem')
    first.close()
    third.close()


def test_waiter_leaves(daemon):
    """a QEMU that gives up waiting is forgotten"""
    daemon.start()
    port = daemon.add('vm1')
    first, *_ = served(port, 2)
    second = Qemu(port)
    third = Qemu(port)
    wait_clients(daemon, 'vm1', 3, 2)
    second.close()
    wait_clients(daemon, 'vm1', 2, 1)
    daemon.kernel('detach vm1')
    third.hello(2)
    first.close()
    third.close()


def test_busy_attach(daemon):
    """a port that proves to be taken only when attaching is waited for"""
    daemon.start()
    port = daemon.add('vm1')
    daemon.kernel('fail attach 16')
    qemu = Qemu(port)
    wait_clients(daemon, 'vm1', 1, 1)
    qemu.silent()
    check_equal(daemon.guest_files(), 0, 'files of what was not attached')
    daemon.kernel('fail attach 0')
    daemon.kernel('detach vm1')
    qemu.hello(2)
    qemu.close()


def test_attach_fails(daemon):
    """attaching fails: QEMU waits, the reason is shown, and it is tried again"""
    daemon.start()
    port = daemon.add('vm1')
    daemon.kernel('fail attach 105')
    qemu = Qemu(port)
    wait_clients(daemon, 'vm1', 1, 1)
    check_contains(daemon.show('vm1')['problem'], 'the test says so', 'buffer space')
    check_equal(daemon.log().count('the test says so'), 1, 'times logged')
    qemu.silent()
    check_equal(daemon.guest_files(), 0, 'files of what was not attached')
    daemon.kernel('fail attach 0')
    qemu.hello(2)
    check_equal(daemon.show('vm1')['problem'], None, 'problem')
    qemu.close()


def test_memory_is_there(daemon):
    """the window is populated when it is attached, and again if it was swapped out meanwhile"""
    daemon.start()
    port = daemon.add('vm1')
    daemon.kernel('swap 2')
    qemu = Qemu(port)
    qemu.hello(2)
    check_equal(daemon.log().count('cannot attach'), 0, 'failures')
    qemu.close()


def test_sends_something(daemon):
    """who sends anything is not QEMU, and is closed; others are served"""
    daemon.start()
    port = daemon.add('vm1')
    qemu, *_ = served(port, 2)
    waiter = Qemu(port)
    wait_clients(daemon, 'vm1', 2, 1)
    waiter.sock.send(b'GET / HTTP/1.1\r\n')
    check_equal(waiter.sock.recv(8), b'', 'answer')
    waiter.close()
    qemu.silent()
    qemu.close()


def test_many(daemon):
    """hundreds of connections to a port cost no more than sixteen"""
    daemon.start()
    port = daemon.add('vm1')
    other = daemon.add('vm2')
    before = daemon.files()
    crowd = [Qemu(port)]
    for _ in range(60):
        qemu = Qemu.__new__(Qemu)
        qemu.sock, qemu.fds = socket.socket(socket.AF_UNIX), []
        qemu.sock.connect(port['socket'])
        crowd.append(qemu)
    wait_clients(daemon, 'vm1', 16, 15)
    check_equal(len(daemon.files()) < len(before) + 24, True, 'number of files')
    qemu, *_ = served(other, 2)
    qemu.close()
    # Those in the queue get their turn.
    for qemu in crowd:
        qemu.hello(2)
        qemu.close()
        wait_for(lambda: not [c for c in daemon.show('vm1')['clients'] if not c['waiting']],
                 'the QEMU that left is forgotten')
        daemon.kernel('detach vm1')
    wait_for(lambda: daemon.files() == before, 'open files are as before')


def test_interface_again(daemon):
    """an interface deleted and made again has its guest again, window and all"""
    daemon.start()
    port = daemon.add('vm1')
    qemu, _, kicks, _ = served(port, 2)
    daemon.kernel('write vm1 before')
    daemon.kernel('unlink vm1')
    shown = daemon.show('vm1')
    check_equal((shown['state'], shown['ifindex']), ('absent', None), 'state')
    check_contains(shown['problem'], 'ip link add vm1 type pveth', 'pvethctl del vm1')
    daemon.kernel('link vm1 pveth 1')
    check_equal(attached(daemon, 'vm1'), True, 'attached')
    check_equal(daemon.show('vm1')['problem'], None, 'problem')
    check_equal(daemon.kernel('read vm1 6'), 'before', 'window')
    os.write(kicks[1], (5).to_bytes(8, 'little'))
    check_equal(daemon.kernel('kicks vm1'), '0 5', 'kicks')
    qemu.close()


def test_renamed(daemon):
    """an interface of another name keeps its guest, and is deleted with the port"""
    daemon.start()
    qemu, *_ = served(daemon.add('vm1'), 2)
    daemon.kernel('rename vm1 other')
    wait_for(lambda: daemon.show('vm1')['state'] == 'absent', 'no interface')
    check_equal(attached(daemon, 'other'), True, 'attached')
    # A guest has one interface.
    daemon.kernel('link vm1 pveth 1')
    wait_for(lambda: 'another interface' in str(daemon.show('vm1')['problem']), 'a problem')
    check_equal(attached(daemon, 'vm1'), False, 'attached')
    daemon.kernel('unlink other')
    wait_for(lambda: attached(daemon, 'vm1'), 'the guest')
    daemon.kernel('rename vm1 other')
    daemon.kernel('link vm1 dummy 1')
    daemon.ctl('del', 'vm1')
    check_equal(daemon.kernel('show other'), 'none', 'interface of the guest')
    check_equal(daemon.kernel('show vm1') == 'none', False, 'an interface of another kind is gone')
    qemu.close()


def test_module_again(daemon):
    """the module unloaded and loaded: interfaces and guests are back"""
    daemon.start()
    port = daemon.add('vm1', '--mtu', '9000', '--queues', '2')
    daemon.add('vm2')
    qemu, *_ = served(port, 3)
    daemon.kernel('write vm1 before')
    daemon.kernel('unload')
    check_equal(daemon.show('vm2')['state'], 'absent', 'state')
    waiter = Qemu(daemon.show('vm2'))
    wait_clients(daemon, 'vm2', 1, 1)
    waiter.silent()
    daemon.kernel('load')
    check_equal(daemon.kernel('show vm1').split()[1:], ['9000', '2', '1'], 'vm1')
    check_equal(daemon.kernel('read vm1 6'), 'before', 'window')
    waiter.hello(2)
    qemu.close()
    waiter.close()


def test_deleted_stays_deleted(daemon):
    """an interface that somebody deleted is not made again behind his back"""
    daemon.start()
    daemon.add('vm1')
    daemon.kernel('unlink vm1')
    daemon.kernel('changed')
    check_equal(daemon.kernel('show vm1'), 'none', 'interface')
    daemon.kernel('link vm1 dummy 1')
    shown = daemon.show('vm1')
    check_equal(shown['state'], 'absent', 'state')
    check_contains(shown['problem'], "kind 'dummy'")


def test_lost_notification(daemon):
    """no report of the kernel is indispensable"""
    daemon.start()
    port = daemon.add('vm1')
    qemu, *_ = served(port, 2)
    daemon.kernel('write vm1 before')
    daemon.kernel('quiet 1')
    daemon.kernel('unlink vm1')
    daemon.kernel('link vm1 pveth 1')
    daemon.kernel('quiet 0')
    daemon.kernel('changed')
    check_equal(daemon.kernel('read vm1 6'), 'before', 'window')
    qemu.close()


def test_waiting_at_the_end(daemon):
    """a QEMU that waits when the port goes, or pvethd, is not left frozen"""
    daemon.start()
    port = daemon.add('vm1')
    first, *_ = served(port, 2)
    waiter = Qemu(port)
    wait_clients(daemon, 'vm1', 2, 1)
    daemon.kernel('write vm1 magic')
    daemon.ctl('del', 'vm1')
    for message in range(3):
        waiter.message()
    window = waiter.fds[0]
    with mmap.mmap(window, 4 << 20) as memory:
        check_equal(memory[:8], bytes(8), 'window of no port')
    for message in range(4):
        waiter.message()
    check_equal(waiter.sock.recv(8), b'', 'the end')
    first.close()
    waiter.close()

    port = daemon.add('vm2')
    daemon.kernel('fail attach 12')
    waiter = Qemu(port)
    wait_clients(daemon, 'vm2', 1, 1)
    daemon.stop()
    for message in range(7):
        waiter.message()
    check_equal(waiter.sock.recv(8), b'', 'the end')
    waiter.close()


def test_stop_keeps_ports(daemon):
    """SIGTERM removes the sockets, and nothing else"""
    daemon.start()
    port = daemon.add('vm1')
    qemu, _, kicks, _ = served(port, 2)
    daemon.stop()
    check_equal(listing(daemon.run_dir), [], 'run directory')
    check_equal(listing(daemon.state_dir), ['vm1.json'], 'state directory')
    check_equal(qemu.sock.recv(8), b'', 'connection')
    os.write(kicks[0], (1).to_bytes(8, 'little'))
    qemu.close()


def test_idle(daemon):
    """whoever waits, pvethd sleeps"""
    daemon.start()
    port = daemon.add('vm1')
    qemu, *_ = served(port, 2)
    waiter = Qemu(port)
    wait_clients(daemon, 'vm1', 2, 1)

    def used():
        with open(f'/proc/{daemon.process.pid}/stat', encoding='ascii') as stat:
            fields = stat.read().rsplit(')', 1)[1].split()
        return int(fields[11]) + int(fields[12])

    before = used()
    time.sleep(1)
    check_equal(used() - before <= 5, True, 'less than 5% of a processor')
    qemu.close()
    waiter.close()
