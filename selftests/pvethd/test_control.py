# SPDX-License-Identifier: GPL-2.0
"""pvethctl, and what is asked of pvethd."""
import contextlib
import fcntl
import grp
import json
import os
import pwd
import resource
import shlex
import signal
import socket
import stat
import subprocess
import time
import xml.etree.ElementTree

from harness import BIN, PATIENCE, Qemu, check_contains, check_equal, listing, wait_for


def is_private_mac(mac):
    return int(mac[:2], 16) & 3 == 2


def test_add(daemon):
    """add: interface, state file and socket are made, with the defaults"""
    daemon.start()
    port = daemon.add('vm1')
    shown = daemon.show('vm1')
    check_equal(shown, port, 'show')
    check_equal(json.loads(daemon.ctl('list', '--json').stdout), [port], 'list')
    check_equal(json.loads(daemon.ctl('show', '--json').stdout), [port], 'show of all')
    ifindex, *rest = daemon.kernel('show vm1').split()
    check_equal(rest, ['1500', '1', '0'], 'interface')
    mac = port['mac']
    check_equal(is_private_mac(mac), True, f'{mac} is unicast and locally administered')
    wanted = {'name': 'vm1', 'ifindex': int(ifindex), 'state': 'detached', 'error': None,
              'guest_error': None, 'problem': None, 'mode': 'window', 'queues': 1,
              'window_size': 4 << 20, 'mtu': 1500, 'sessions': 0, 'clients': [],
              'socket': f'{daemon.run_dir}/vm1.sock'}
    for key, value in wanted.items():
        check_equal(port[key], value, key)
    check_equal(port['stats']['g2h_frames'], 12, 'counter')
    check_equal(len(port['stats']), 10, 'number of counters')
    with open(f'{daemon.state_dir}/vm1.json', encoding='utf-8') as file:
        check_equal(json.load(file)['mac'], mac, 'MAC address in the state file')


def test_show_error(daemon):
    """show: why a session ended, in words"""
    daemon.start()
    daemon.add('vm1', '--mtu', '9000')
    check_equal('error:' in daemon.ctl('show', 'vm1').stdout, False, 'error at first')
    daemon.kernel('broke vm1 8')
    port = daemon.show('vm1')
    check_equal((port['state'], port['error']), ('error', 'desc-addr'), 'state')
    check_contains(daemon.ctl('show', 'vm1').stdout,
                   '  error:         desc-addr: a descriptor or a buffer is not within the memory\n',
                   '  MTU:           9000, the guest uses 1400\n', '  queue pairs:   1\n')
    # One that this pvethd does not know
    daemon.kernel('broke vm1 99')
    check_contains(daemon.ctl('show', 'vm1').stdout, '  error:         99\n')


def test_add_options(daemon):
    """add: takes all options"""
    daemon.start()
    port = daemon.add('web-1.a', '--mac', '52:54:00:77:00:0a', '--queues', '4', '--mtu', '9000',
                      '--window-size', '32MiB', '--mode', 'window')
    check_equal([port[key] for key in ('mac', 'queues', 'mtu', 'window_size')],
                ['52:54:00:77:00:0a', 4, 9000, 32 << 20], 'port')
    check_equal(daemon.kernel('show web-1.a').split()[1:], ['9000', '4', '0'], 'interface')
    sizes = {'512K': 512 << 10, '4m': 4 << 20, '1GiB': 1 << 30, '8388608': 8 << 20, '4G': 4 << 30}
    for number, (text, size) in enumerate(sizes.items()):
        port = daemon.add(f'vm{number}', '--window-size', text)
        check_equal(port['window_size'], size, text)
    check_equal(daemon.add('vm9', '--queues', '3')['window_size'], 16 << 20, 'default for 3')


def test_rates(daemon):
    """add: rates are limited, whenever the interface is made"""
    daemon.start()
    port = daemon.add('vm1', '--rate-in', '100mbit', '--rate-out', '64Kbit')
    check_equal([port['rate_in'], port['rate_out']], [10**8, 64000], 'rates')
    check_equal(daemon.kernel('rates vm1'), '100000000 64000', 'limits of the interface')
    check_contains(daemon.ctl('show', 'vm1').stdout, 'rate in:       100mbit\n',
                   'rate out:      64kbit\n')
    daemon.kernel('link vm7 pveth 1')
    daemon.kernel('excess vm1 12+3')
    stats = daemon.show('vm1')['stats']
    check_equal([stats['rate_in_dropped'], stats['rate_out_dropped']], [12, 3], 'too much')
    daemon.ctl('add', 'vm7', '--rate-in', '1gbit', '--socket-user', 'no-such-user', fails=True)
    check_equal(daemon.kernel('rates vm7'), '0 0', 'limits of an interface that was there')
    daemon.kernel('fail limit 12')
    daemon.ctl('add', 'vm8', '--rate-in', '1gbit', fails=True)
    check_equal(daemon.kernel('show vm8'), 'none', 'interface without its limits')
    daemon.kernel('unlink vm1')
    daemon.kernel('link vm1 pveth 1')
    wait_for(lambda: daemon.show('vm1')['problem'], 'a complaint')
    check_equal(daemon.kernel('rates vm1'), '0 0', 'limits that cannot be set')
    daemon.kernel('fail limit 0')
    wait_for(lambda: not daemon.show('vm1')['problem'], 'the end of it')
    check_equal(daemon.kernel('rates vm1'), '100000000 64000', 'limits of a new interface')
    daemon.kernel('away vm1')
    wait_for(lambda: daemon.kernel('rates vm1') == '100000000 64000',
             'the limits of an interface that was away')
    for command in 'quiet 1', 'away vm1', 'quiet 0', 'changed':
        daemon.kernel(command)
    wait_for(lambda: daemon.kernel('rates vm1') == '100000000 64000',
             'the limits of an interface that was away, and nobody knew')
    daemon.kill()
    daemon.start('link vm1 pveth 1')
    check_equal(daemon.kernel('rates vm1'), '100000000 64000', 'limits after a restart')
    check_equal(daemon.show('vm1')['rate_out'], 64000, 'rate after a restart')
    port = daemon.add('vm2', '--rate-out', '400gbit')
    check_equal(port.get('rate_in'), None, 'rate that is not limited')
    check_equal([port['stats'].get('rate_in_dropped'), port['stats']['rate_out_dropped']],
                [None, 0], 'what a rate that is not limited drops')
    check_equal(daemon.kernel('rates vm2'), '0 400000000000', 'limits of the interface')
    for rate in ('', 'fast', '10', '-1mbit', '1.5mbit', '10 mbit', '63kbit', '401gbit',
                 '18446744073710gbit', '99999999999999999999bit'):
        answer = daemon.ctl('add', 'vm3', '--rate-in', rate, fails=True)
        check_contains(answer.stderr, f"--rate-in: '{rate}' is no", ' rate')


def ram_files(daemon):
    return sorted(name for name in os.listdir(daemon.dir) if name.endswith('.ram'))


QEMU_XML = '{http://libvirt.org/schemas/domain/qemu/1.0}'
LIBVIRT_SCHEMA = '/usr/share/libvirt/schemas/domain.rng'


def domain(port):
    """What libvirt gets, and has nothing against: the port's part of a domain"""
    text = f"""<domain type='kvm'>
        <name>vm1</name>
        <memory unit='MiB'>64</memory>
        <os><type arch='x86_64' machine='q35'>hvm</type></os>
        {port['libvirt_xml']}
        </domain>"""
    done = subprocess.run(['xmllint', '--noout', '--relaxng', LIBVIRT_SCHEMA, '-'], input=text,
                          stderr=subprocess.PIPE, text=True, check=False)
    check_equal((done.returncode, done.stderr), (0, '- validates\n'), 'verdict of libvirt')
    return xml.etree.ElementTree.fromstring(text)


def test_direct(daemon):
    """direct mode: the guest's memory is made, told of, shared in its parts, and removed"""
    daemon.start()
    port = daemon.add('vm1', '--mode', 'direct', '--memory', '64M', '--memory-dir', daemon.dir)
    path = f'{daemon.dir}/pveth-vm1.ram'
    check_equal([port[key] for key in ('mode', 'memory', 'memory_dir', 'machine')],
                ['direct', 64 << 20, daemon.dir, 'q35'], 'port')
    made = os.stat(path)
    check_equal((made.st_size, stat.S_IMODE(made.st_mode)), (64 << 20, 0o600), 'file')
    check_equal(port['qemu_args'][4:],
                ['-m', '64M', '-object', 'memory-backend-file,id=pveth-vm1-ram,size=67108864,'
                 f'mem-path={path},share=on,discard-data=on',
                 '-machine', 'memory-backend=pveth-vm1-ram'], 'arguments')
    check_equal([arg.get('value') for arg in domain(port).find(f'{QEMU_XML}commandline')],
                port['qemu_args'][4:], 'arguments by libvirt')
    check_contains(daemon.ctl('show', 'vm1').stdout, 'direct', '64M')
    qemu = Qemu(port)
    qemu.hello(2)
    check_equal(daemon.kernel('regions vm1'), '0+4000000', 'regions')
    qemu.close()
    # After a reboot
    daemon.stop()
    os.remove(path)
    daemon.start('link vm1 pveth 1')
    qemu = Qemu(port)
    qemu.hello(2)
    check_equal(daemon.kernel('regions vm1'), '0+4000000', 'regions again')
    check_equal(os.stat(path).st_size, 64 << 20, 'file that is made again')
    qemu.close()
    daemon.ctl('del', 'vm1')
    check_equal(ram_files(daemon), [], 'files')


def test_direct_layout(daemon):
    """direct mode: RAM goes on above 4 GiB where QEMU's machine has it so"""
    daemon.start()
    layouts = {
        ('q35', '2815M'): [(0, 0xaff00000)],
        ('q35', '2816M'): [(0, 0x80000000), (1 << 32, 0x30000000)],
        ('pc', '3583M'): [(0, 0xdff00000)],
        ('pc', '3584M'): [(0, 0xc0000000), (1 << 32, 0x20000000)],
    }
    for (machine, size), parts in layouts.items():
        port = daemon.add('vm1', '--mode', 'direct', '--memory', size, '--machine', machine)
        with open('/dev/shm/pveth-vm1.ram', 'rb') as file:
            qemu = Qemu(port)
            qemu.hello(2)
            check_equal(daemon.kernel('regions vm1'),
                        ' '.join(f'{addr:x}+{length:x}' for addr, length in parts),
                        f'{machine} with {size}')
            offset = 0
            for addr, length in parts:
                file.seek(offset)
                check_equal(int.from_bytes(file.read(8), 'little'), addr, f'at {offset:x}')
                offset += length
            qemu.close()
        daemon.ctl('del', 'vm1')


def children(daemon):
    with open(f'/proc/{daemon.process.pid}/task/{daemon.process.pid}/children',
              encoding='utf-8') as file:
        return file.read().split()


@contextlib.contextmanager
def tmpfs(daemon, size):
    """Where a guest's memory can be, until the daemon is stopped."""
    path = os.path.join(daemon.dir, 'tmpfs')
    os.mkdir(path)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'none', path], check=True)
    try:
        yield path
    finally:
        daemon.stop()
        subprocess.run(['umount', path], check=True)


def test_direct_fill(daemon):
    """direct mode: others are served while a guest's memory is allocated"""
    daemon.start()
    with tmpfs(daemon, '3G') as path:
        args = '--mode', 'direct', '--memory', '2G', '--memory-dir', path
        ram = f'{path}/pveth-vm1.ram'
        port = daemon.add('vm1', *args)
        files = len(daemon.files())
        qemu = Qemu(port)
        answer = json.loads(daemon.request(b'{"command": "list"}\n'))
        check_equal(answer['result'][0]['problem'], None, 'problem')
        qemu.silent()
        check_equal(len(children(daemon)), 1, 'processes that allocate')
        # Another one waits for the same.
        other = Qemu(port)
        qemu.hello(2)
        check_equal(os.stat(ram).st_blocks * 512, 2 << 30, 'allocated')
        check_equal(children(daemon), [], 'processes')
        other.silent()
        qemu.close()
        daemon.kernel('detach vm1')
        other.hello(2)
        other.close()
        daemon.kernel('detach vm1')
        # It ends with the port,
        wait_for(lambda: not daemon.show('vm1')['clients'], 'both have left')
        os.truncate(ram, 0)
        qemu = Qemu(port)
        wait_for(lambda: children(daemon), 'a process')
        with open(ram, 'rb') as file:
            # At once: pvethctl takes longer to start.
            daemon.request(b'{"command": "del", "name": "vm1"}\n')
            wait_for(lambda: not children(daemon), 'the process has ended')
            check_equal(os.fstat(file.fileno()).st_blocks * 512 < 2 << 30, True,
                        'it was ended, and was not done')
        qemu.close()
        check_equal(len(daemon.files()) < files, True, 'files')
        # and with pvethd.
        port = daemon.add('vm1', *args)
        qemu = Qemu(port)
        pid = wait_for(lambda: children(daemon), 'a process')[0]
        daemon.kill()
        wait_for(lambda: not os.path.exists(f'/proc/{pid}'), 'the process has ended')
        check_equal(os.stat(ram).st_blocks * 512 < 2 << 30, True, 'it has not gone on')
        qemu.close()


def test_direct_full(daemon):
    """direct mode: where there is no room for a guest's memory, it is said"""
    daemon.start()
    with tmpfs(daemon, '32M') as path:
        port = daemon.add('vm1', '--mode', 'direct', '--memory', '64M', '--memory-dir', path)
        qemu = Qemu(port)
        check_contains(wait_for(lambda: daemon.show('vm1')['problem'], 'a problem'),
                       path, 'No space left')
        qemu.silent()
        subprocess.run(['mount', '-o', 'remount,size=128M', path], check=True)
        qemu.hello(2)
        check_equal(daemon.show('vm1')['problem'], None, 'problem')
        qemu.close()


def test_direct_fails(daemon):
    """direct mode: a guest whose memory is not right is not attached, and it is said why"""
    daemon.start()
    port = daemon.add('vm1', '--mode', 'direct', '--memory', '64M', '--memory-dir', daemon.dir)
    path = f'{daemon.dir}/pveth-vm1.ram'
    os.truncate(path, 1 << 20)
    qemu = Qemu(port)
    wait_for(lambda: daemon.show('vm1')['problem'], 'a problem')
    check_contains(daemon.show('vm1')['problem'], path, '1048576 bytes, not 67108864')
    check_equal(daemon.kernel('show vm1').split()[3], '0', 'attached')
    os.truncate(path, 64 << 20)
    qemu.hello(2)
    check_equal(daemon.show('vm1')['problem'], None, 'problem')
    qemu.close()


def test_direct_stranger(daemon):
    """direct mode: a file that others may have made, or can use, is not the guest's memory"""
    daemon.start()
    port = daemon.add('vm1', '--mode', 'direct', '--memory', '64M', '--memory-dir', daemon.dir)
    path = f'{daemon.dir}/pveth-vm1.ram'
    qemu = Qemu(port)
    qemu.hello(2)
    qemu.close()

    @contextlib.contextmanager
    def refused(*words):
        daemon.kernel('detach vm1')
        wait_for(lambda: not daemon.show('vm1')['clients'], 'it has left')
        waiting = Qemu(port)
        check_contains(wait_for(lambda: daemon.show('vm1')['problem'], 'a problem'), path, *words)
        waiting.silent()
        yield
        waiting.hello(2)
        check_equal(daemon.show('vm1')['problem'], None, 'problem')
        waiting.close()

    os.chown(path, 1234, -1)
    with refused('user 1234'):
        os.chown(path, 0, -1)
    os.chmod(path, 0o602)
    with refused('602'):
        os.chmod(path, 0o600)
    os.link(path, f'{path}.link')
    with refused('other names'):
        os.remove(f'{path}.link')
    # With a lease, opening it would take 45 s.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    with open(path, 'rb') as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        with refused('temporarily unavailable'):
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def test_add_prints(daemon):
    """add: prints the words for a shell, and XML, that QEMU and libvirt take"""
    daemon.run_dir = os.path.join(daemon.dir, "it's, odd & <so>")
    daemon.start()
    text = daemon.ctl('add', 'vm1', '--queues', '2').stdout
    port = daemon.show('vm1')
    arguments = text[text.index('-chardev'):text.index('libvirt')]
    check_equal(shlex.split(arguments.replace('\\\n', '')), port['qemu_args'], 'words')
    path = port['socket'].replace(',', ',,')
    check_equal(port['qemu_args'],
                ['-chardev', f'socket,id=pveth-vm1,path={path}',
                 '-device', 'ivshmem-doorbell,id=pveth-vm1,chardev=pveth-vm1,vectors=3'],
                'arguments')
    shmem = domain(port).find('devices/shmem')
    check_equal(shmem.get('name'), 'pveth-vm1', 'element')
    check_equal(shmem.find('model').get('type'), 'ivshmem-doorbell', 'model')
    check_equal(shmem.find('server').get('path'), port['socket'], 'path')
    check_equal(dict(shmem.find('msi').attrib), {'vectors': '3', 'ioeventfd': 'on'}, 'msi')
    check_contains(text, *port['libvirt_xml'].splitlines())
    for command in ('list',), ('show', 'vm1'), ('show',):
        check_contains(daemon.ctl(*command).stdout, 'vm1', port['mac'], 'detached')


def test_add_refused(daemon):
    """add: bad values are refused, with what would be right, and leave nothing"""
    daemon.start()
    daemon.add('vm1', '--mac', '52:54:00:00:00:01')
    before = daemon.ctl('list').stdout, daemon.files()
    direct = 'vm2', '--mode', 'direct', '--memory'
    with open(f'{daemon.dir}/pveth-vm2.ram', 'w', encoding='utf-8') as file:
        file.write("another's")
    refused = [
        (('vm2', '--mac', '53:54:00:00:00:01'), 2, 'multicast'),
        (('vm2', '--mac', '52:54:00:00:00'), 2, 'six octets'),
        (('vm2', '--mac', '52:54:00:00:00:0g'), 2, 'six octets'),
        (('vm2', '--mac', '00:00:00:00:00:00'), 2, 'no interface'),
        (('vm2', '--mac', '52:54:00:00:00:01'), 1, 'port vm1 has this MAC address'),
        (('vm2', '--queues', '0'), 2, '--queues', 'from 1 to 16'),
        (('vm2', '--queues', '17'), 2, 'from 1 to 16'),
        (('vm2', '--queues', '-1'), 2, 'from 1 to 16'),
        (('vm2', '--queues', '1x'), 2, 'from 1 to 16'),
        (('vm2', '--mtu', '67'), 2, 'from 68 to 65521'),
        (('vm2', '--mtu', '65522'), 2, 'from 68 to 65521'),
        (('vm2', '--window-size', '3M'), 1, 'no power of two', '2M or 4M'),
        (('vm2', '--window-size', '256K'), 1, 'too small', 'from 512K to 4096M'),
        (('vm2', '--window-size', '1M', '--queues', '3'), 1, 'too small', 'from 2M'),
        (('vm2', '--window-size', '0'), 1, 'too small'),
        (('vm2', '--window-size', '8G'), 1, 'too large', '4096M'),
        (('vm2', '--window-size', '17179869184G'), 2, 'not a size'),
        (('vm2', '--window-size', '4MB'), 2, 'not a size', '8MiB'),
        (('vm2', '--window-size', ''), 2, 'not a size'),
        (('vm2', '--mode', 'fast'), 1, 'use window or direct'),
        (('vm2', '--mode', 'direct'), 1, '--memory SIZE'),
        (('vm2', '--memory', '64M'), 1, 'only for --mode direct'),
        (('vm2', '--machine', 'q35'), 1, 'only for --mode direct'),
        ((*direct, '31M'), 1, 'from 32M to 524288M'),
        ((*direct, '1T'), 2, 'not a size'),
        ((*direct, '513G'), 1, 'from 32M to 524288M'),
        ((*direct, '67108865'), 1, 'multiple of 1M'),
        ((*direct, '64M', '--machine', 'virt'), 1, 'use q35 or pc'),
        ((*direct, '64M', '--memory-dir', 'shm'), 1, 'absolute path'),
        ((*direct, '64M', '--memory-dir', '/no/such'), 1, '/no/such/pveth-vm2.ram', 'No such file'),
        ((*direct, '64M', '--memory-dir', daemon.dir), 1, 'pveth-vm2.ram', 'File exists'),
        ((*direct, '64M', '--socket-user', 'no-such-user'), 1, "no user 'no-such-user'"),
        (('vm2', '--socket-user', 'no-such-user'), 1, "no user 'no-such-user'"),
        (('vm2', '--socket-group', 'no-such-group'), 1, "no group 'no-such-group'"),
        (('vm2', '--socket-user', 'x' * 64), 1, 'longer than'),
        (('vm1',), 1, 'there is a port vm1 already'),
        (('a-name-that-is-long',), 2, 'at most 15'),
        (('a b',), 2, 'letters, digits'),
        (('a/b',), 2, 'letters, digits'),
        (('.a',), 2, 'letters, digits'),
        (('',), 2, 'letters, digits'),
    ]
    for args, status, *words in refused:
        daemon.fails_with(('add', *args), *words, status=status)
    check_equal((daemon.ctl('list').stdout, daemon.files()), before, 'what is there')
    check_equal(daemon.kernel('show vm2'), 'none', 'interface')
    with open(f'{daemon.dir}/pveth-vm2.ram', encoding='utf-8') as file:
        check_equal(file.read(), "another's", 'file that was there')
    check_equal(os.path.exists('/dev/shm/pveth-vm2.ram'), False, 'memory')
    check_equal(listing(daemon.state_dir), ['vm1.json'], 'state files')
    check_equal(listing(daemon.run_dir), ['control', 'vm1.sock'], 'sockets')


def test_add_undone(daemon):
    """add: when a step fails, those before it are undone"""
    daemon.start()
    daemon.kernel('fail add 1')
    daemon.fails_with(('add', 'vm1'), 'cannot make the interface vm1', 'the test says so')
    daemon.kernel('fail add 0')

    os.mkdir(f'{daemon.state_dir}/.vm1.json')
    daemon.fails_with(('add', 'vm1'), 'cannot write the state file vm1.json')
    check_equal(daemon.kernel('show vm1'), 'none', 'interface')
    os.rmdir(f'{daemon.state_dir}/.vm1.json')

    os.mkdir(f'{daemon.run_dir}/vm1.sock')
    daemon.fails_with(('add', 'vm1'), 'cannot make the socket', 'vm1.sock')
    check_equal(daemon.kernel('show vm1'), 'none', 'interface')
    check_equal(listing(daemon.state_dir), [], 'state files')
    os.rmdir(f'{daemon.run_dir}/vm1.sock')
    daemon.add('vm1')


def test_add_adopts(daemon):
    """add: takes up a port that is there, and no other kind of interface"""
    daemon.start()
    daemon.kernel('link vm1 pveth 2')
    daemon.kernel('link br0 bridge 1')
    ifindex = daemon.kernel('show vm1').split()[0]
    daemon.fails_with(('add', 'br0'), 'interface br0 already', "kind 'bridge'", 'another name')
    daemon.fails_with(('add', 'vm1', '--queues', '4'), '2 queue pairs', '--queues 2')
    check_equal(daemon.kernel('show vm1').split()[0], ifindex, 'interface')
    port = daemon.add('vm1', '--queues', '2', '--mtu', '4000')
    check_equal((str(port['ifindex']), port['mtu']), (ifindex, 4000), 'interface')
    daemon.kernel('link vm2 pveth 1')
    check_equal(daemon.add('vm2')['mtu'], 1400, 'MTU that the interface has')
    daemon.kernel('unlink vm2')
    daemon.stop()
    daemon.start()
    check_equal(daemon.show('vm2')['mtu'], 1400, 'MTU when it is made again')


def test_del(daemon):
    """del: interface, state file, socket and all files are gone"""
    daemon.start()
    before = daemon.files()
    qemu = Qemu(daemon.add('vm1'))
    qemu.hello(2)
    check_equal(json.loads(daemon.ctl('del', 'vm1', '--json').stdout), {'name': 'vm1'}, 'answer')
    check_equal(daemon.kernel('show vm1'), 'none', 'interface')
    check_equal(listing(daemon.state_dir), [], 'state files')
    check_equal(listing(daemon.run_dir), ['control'], 'sockets')
    wait_for(lambda: daemon.files() == before, 'open files are as before')
    daemon.fails_with(('del', 'vm1'), "no port 'vm1'")
    daemon.fails_with(('show', 'vm1'), "no port 'vm1'")
    qemu.close()

    daemon.add('vm1')
    daemon.kernel('unlink vm1')
    check_contains(daemon.ctl('del', 'vm1').stdout, 'Port vm1 deleted')

    # One that fails leaves the guest its link.
    qemu = Qemu(daemon.add('vm1'))
    qemu.hello(2)
    file = os.path.join(daemon.state_dir, 'vm1.json')
    os.remove(file)
    os.mkdir(file)
    daemon.fails_with(('del', 'vm1'), 'cannot remove the state file vm1.json')
    wait_for(lambda: daemon.kernel('show vm1').split()[1:] == ['1500', '1', '1'],
             'an interface, and its guest')
    # One that somebody deleted stays deleted.
    daemon.kernel('unlink vm1')
    wait_for(lambda: daemon.show('vm1')['state'] == 'absent', 'no interface')
    daemon.fails_with(('del', 'vm1'), 'cannot remove the state file vm1.json')
    check_equal(daemon.kernel('show vm1'), 'none', 'interface')
    os.rmdir(file)
    daemon.ctl('del', 'vm1')
    qemu.close()


def test_permissions(daemon):
    """sockets: only their owner and group can connect, only root to control"""
    daemon.start()
    user, group = pwd.getpwnam('nobody'), grp.getgrnam('daemon')
    root = os.geteuid(), os.getegid()
    daemon.add('vm1')
    daemon.add('vm2', '--socket-user', 'nobody', '--socket-group', 'daemon')
    daemon.add('vm3', '--socket-user', str(user.pw_uid))
    wanted = {'vm1.sock': (0o660, *root), 'vm2.sock': (0o660, user.pw_uid, group.gr_gid),
              'vm3.sock': (0o660, user.pw_uid, root[1]), 'control': (0o600, *root)}
    for name, owner in wanted.items():
        st = os.stat(f'{daemon.run_dir}/{name}')
        check_equal((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid), owner, name)
    check_equal(stat.S_IMODE(os.stat(daemon.run_dir).st_mode), 0o755, 'run directory')


def test_usage(daemon):
    """pvethctl, pvethd: help, version, and wrong command lines"""
    check_contains(daemon.ctl('--help').stdout, 'Usage: pvethctl add', '--window-size', '--json')
    check_contains(daemon.ctl('--version').stdout, 'pvethctl ')
    daemon.fails_with(('list',), 'cannot reach pvethd', 'is pvethd running?')
    wrong = [((), 'command is missing'), (('frob',), "no command 'frob'"), (('add',), 'needs'),
             (('del',), 'needs'), (('del', 'a', 'b'), 'too much'), (('list', 'a'), 'too much'),
             (('list', '--queues', '2'), 'no option --queues'), (('list', '--frob'), 'frob'),
             (('add', 'a', '--queues'), 'requires an argument')]
    for args, *words in wrong:
        daemon.fails_with(args, *words, 'pvethctl --help', status=2)
    for args, status in (['--help'], 0), (['--version'], 0), (['--frob'], 2), (['x'], 2):
        done = subprocess.run([f'{BIN}/pvethd', *args], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        check_equal(done.returncode, status, f'pvethd {args}')
        check_contains(done.stdout + done.stderr, 'pvethd')


def test_bad_requests(daemon):
    """control socket: whatever is sent, there is an answer or an end, and no harm"""
    daemon.start()
    daemon.add('vm1')
    before = daemon.files()
    for request in [b'\n', b'{}\n', b'[]\n', b'nonsense\n', b'{"command": 1}\n', b'\xff\xfe\n',
                    b'{"command": "frob"}\n', b'{"command": "show"}\n',
                    b'{"command": "show", "name": "vm1", "name": "vm2"}\n',
                    b'{"command": "show", "name": {}}\n', b'{"command": "del", "name": null}\n',
                    b'{"command": "del", "name": "vm1", "more": 1}\n',
                    b'{"command": "add", "name": "a/../b"}\n', b'{"command": "add"}\n',
                    b'{"command": "add", "name": "vm2", "queues": "two"}\n',
                    b'{"command": "add", "name": "vm2", "queues": 4294967297}\n',
                    b'{"command": "add", "name": "vm2", "queues": -1}\n',
                    b'{"command": "add", "name": "vm2", "window_size": -4194304}\n',
                    b'{"command": "add", "name": "vm2", "mtu": 1e3}\n',
                    b'{"command": "add", "name": "vm2", "mac": ""}\n',
                    b'{"command": "add", "name": "vm2", "mac": "52:54:00:00:00:01 "}\n',
                    b'{"command": "add", "name": "vm2", "frob": 1}\n',
                    b'{"command": "add", "name": "vm2\\u0000x"}\n',
                    b'[' * 60000 + b'\n']:
        answer = json.loads(daemon.request(request))
        check_equal(list(answer), ['error'], f'answer to {request[:60]!r}')
    check_equal(daemon.request(b'x' * 100000), b'', 'answer to a line without end')
    check_equal(len(json.loads(daemon.ctl('list', '--json').stdout)), 1, 'ports')
    wait_for(lambda: daemon.files() == before, 'open files are as before')


def test_silent_clients(daemon):
    """control socket: those who say nothing hold up nobody for long"""
    daemon.start()
    crowd = []
    for _ in range(20):
        crowd.append(socket.socket(socket.AF_UNIX))
        crowd[-1].connect(f'{daemon.run_dir}/control')
    # Sixteen at a time have ten seconds to say something.
    daemon.ctl('list')
    for sock in crowd:
        sock.close()


def test_request_while_stopped(daemon):
    """control socket: a request that comes while pvethd stands still is answered"""
    daemon.start()
    # How long it waits for one
    start = time.monotonic()
    check_equal(daemon.request(b''), b'', 'answer to nothing')
    patience = time.monotonic() - start
    files = len(daemon.files())
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(f'{daemon.run_dir}/control')
        wait_for(lambda: len(daemon.files()) > files, 'the connection is open')
        os.kill(daemon.process.pid, signal.SIGSTOP)
        sock.sendall(b'{"command": "list"}\n')
        # Time is what this is about: there is nothing else to wait for.
        time.sleep(patience)
        os.kill(daemon.process.pid, signal.SIGCONT)
        with sock.makefile() as answer:
            check_equal(json.loads(answer.readline()), {'result': []}, 'answer')


def test_bridge(daemon):
    """add --bridge: the interface is put into it whenever it is made"""
    daemon.start('link br0 bridge 1')
    daemon.kernel('link eth0 ether 1')
    daemon.fails_with(('add', 'vm1', '--bridge', 'br1'), 'no bridge br1', 'type bridge')
    daemon.fails_with(('add', 'vm1', '--bridge', 'eth0'), 'cannot put the interface into eth0')
    daemon.fails_with(('add', 'vm1', '--bridge', 'x' * 16), 'at most 15')
    check_equal(daemon.kernel('show vm1'), 'none', 'interface')
    check_equal(daemon.add('vm1', '--bridge', 'br0')['bridge'], 'br0', 'bridge')
    check_equal(daemon.kernel('master vm1'), 'br0', 'master')

    daemon.kernel('unload')
    daemon.kernel('unlink br0')
    daemon.kernel('load')
    check_equal(daemon.kernel('master vm1'), 'none', 'master without a bridge')
    daemon.kernel('link br0 bridge 1')
    check_equal(daemon.kernel('master vm1'), 'br0', 'master after the bridge came')

    daemon.stop()
    daemon.start('link br0 bridge 1')
    check_equal(daemon.kernel('master vm1'), 'br0', 'master after a restart')


def test_cut_characters(daemon):
    """an error that is cut within a character is told all the same"""
    daemon.start()
    name = 'x' + '\u00fc' * 30
    for command in 'network show', 'nothing ' + name:
        answer = json.loads(daemon.request(json.dumps({'command': command, 'name': name},
                                                      ensure_ascii=False).encode() + b'\n'))
        check_contains(answer['error'], 'there is no', '?')


def test_no_files(daemon):
    """control: while pvethd can open no file, who connects waits"""
    daemon.start()
    pid = daemon.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(daemon.files()), limits[1]))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(os.path.join(daemon.run_dir, 'control'))
        sock.sendall(b'{"command": "list"}\n')
        said = 'cannot accept a connection of pvethctl: Too many open files'
        # Twice, a second apart: it does nothing else in between.
        wait_for(lambda: daemon.log().count(said) == 1, 'a complaint')
        wait_for(lambda: daemon.log().count(said) == 2, 'another one')
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        check_contains(sock.recv(64).decode(), '"result"')


def test_get(daemon):
    """pvethctl show --get prints a field and nothing else"""
    daemon.start()
    for name in 'vm1', 'vm2':
        daemon.add(name, '--queues', '2')
    port = daemon.show('vm1')
    for field in 'state', 'mac':
        check_equal(daemon.ctl('show', 'vm1', '--get', field).stdout, port[field] + '\n', field)
    for field in 'queues', 'qemu_args':
        check_equal(json.loads(daemon.ctl('show', 'vm1', '--get', field).stdout), port[field], field)
    check_equal(daemon.ctl('show', '--get', 'name').stdout, 'vm1\nvm2\n', 'fields of all')
    daemon.fails_with(['show', 'vm1', '--get', 'age'], "no field 'age'", '--json')
    # Of all or of none: what is first has it, the others have not.
    daemon.add('vm0', '--mode', 'direct', '--memory', '64M', '--memory-dir', daemon.dir)
    check_equal(daemon.ctl('show', 'vm0', '--get', 'memory').stdout, f'{64 << 20}\n', 'memory')
    check_equal(daemon.list()[0]['name'], 'vm0', 'the first')
    daemon.fails_with(['show', '--get', 'memory'], "no field 'memory'")
    daemon.fails_with(['list', '--get', 'name'], "'list' has no option --get", status=2)


def test_top(daemon):
    """pvethctl top shows what ports do now"""
    daemon.start()
    for name in 'vm1', 'vm2', 'vm3':
        daemon.add(name)
    with subprocess.Popen([os.path.join(BIN, 'pvethctl'), '--run-dir', daemon.run_dir, 'top',
                           '--count', '2'], stdout=subprocess.PIPE, text=True) as top:
        rows = [top.stdout.readline().split() for _ in range(4)]
        check_equal(rows[0], ['NAME', 'STATE', 'OUT', 'b/s', 'frames/s', 'IN', 'b/s', 'frames/s',
                              'drops/s', 'filter/s'], 'titles')
        check_equal(rows[1:], [[name, 'detached', *'000000'] for name in ('vm1', 'vm2', 'vm3')],
                    'rates at first')
        daemon.kernel('frames vm2 20000000')
        daemon.kernel('frames vm3 1000')
        rows = [line.split() for line in top.stdout]
    check_equal(top.returncode, 0, 'exit status')
    check_equal([row[0] for row in rows[1:]], ['vm2', 'vm3', 'vm1'], 'the busiest first')
    # After a second, or somewhat more
    busy = rows[1]
    check_equal([text[-1] for text in busy[2:7]], ['G', 'M', '0', '0', 'M'], 'units')
    check_equal(0 < float(busy[3][:-1]) <= 20 and
                abs(float(busy[2][:-1]) - 8 * float(busy[3][:-1])) <= 5, True,
                f'rates: {busy}')
    check_equal(rows[3][2:], [*'000000'], 'rates of a port that does nothing')
    # Whatever a terminal has, a line is not longer than it.
    check_equal(max(map(len, daemon.ctl('top', '--count', '1').stdout.split('\n'))) <= 80, True,
                'columns')
    daemon.fails_with(['top', 'vm1'], "'vm1' is too much", status=2)
    daemon.fails_with(['top', '--interval', '0'], '--interval', '1 to 3600', status=2)
    daemon.fails_with(['list', '--count', '2'], "'list' has no option --count", status=2)
