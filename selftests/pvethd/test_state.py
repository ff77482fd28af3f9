# SPDX-License-Identifier: GPL-2.0
"""State files, starting and stopping."""
import json
import os
import signal
import socket
import struct
import subprocess

from harness import PATIENCE, Qemu, check_contains, check_equal, listing, wait_for


def state_file(daemon, name):
    return f'{daemon.state_dir}/{name}.json'


def read_state(daemon, name):
    with open(state_file(daemon, name), encoding='utf-8') as file:
        return json.load(file)


def write_state(daemon, name, text):
    with open(state_file(daemon, name), 'w', encoding='utf-8') as file:
        file.write(text)


def ports(daemon):
    return sorted(port['name'] for port in json.loads(daemon.ctl('list', '--json').stdout))


def test_restart(daemon):
    """restart: the ports are taken up again, and their interfaces made if need be"""
    daemon.start()
    before = [daemon.add('vm1', '--queues', '2', '--mtu', '9000'), daemon.add('vm2')]
    daemon.stop()
    daemon.start('link vm1 pveth 2')
    for port in before:
        again = daemon.show(port['name'])
        for key in 'mac', 'queues', 'window_size', 'socket', 'qemu_args', 'state':
            check_equal(again[key], port[key], f'{key} of {port["name"]}')
    check_equal(daemon.kernel('show vm2').split()[1:], ['1500', '1', '0'], 'vm2')
    check_equal(daemon.kernel('show vm1').split()[2:], ['2', '0'], 'vm1')
    qemu = Qemu(before[0])
    qemu.hello(3)
    qemu.close()


def test_restart_after_kill(daemon):
    """restart: sockets that a killed pvethd left behind are no obstacle"""
    daemon.start()
    port = daemon.add('vm1')
    qemu = Qemu(port)
    qemu.hello(2)
    daemon.kill()
    check_equal(qemu.sock.recv(8), b'', 'connection')
    qemu.close()
    write_state(daemon, '.vm2', 'half of a fi')
    daemon.start()
    check_equal(ports(daemon), ['vm1'], 'ports')
    check_equal(os.path.exists(state_file(daemon, '.vm2')), False, 'unfinished file')
    qemu = Qemu(port)
    qemu.hello(2)
    qemu.close()


def test_restart_without_module(daemon):
    """restart: without the module ports are absent, and served once it is loaded"""
    daemon.start()
    port = daemon.add('vm1')
    daemon.stop()
    daemon.start('unload')
    shown = daemon.show('vm1')
    check_equal(shown['state'], 'absent', 'state')
    check_contains(shown['problem'], 'cannot make the interface vm1')
    qemu = Qemu(port)
    wait_for(lambda: daemon.show('vm1')['clients'], 'QEMU is connected')
    qemu.silent()
    daemon.kernel('load')
    qemu.hello(2)
    qemu.close()


def test_bad_state(daemon):
    """a state file that is not usable is logged; the others' ports are served"""
    daemon.start()
    daemon.add('good')
    daemon.stop()
    state = read_state(daemon, 'good')
    bad = {
        'empty': '', 'cut': json.dumps(state)[:40], 'list': '[]', 'null': 'null',
        'binary': '\0\1\2', 'other': json.dumps(state),
        'version': json.dumps({**state, 'name': 'version', 'version': 2}),
        'unknown': json.dumps({**state, 'name': 'unknown', 'colour': 'red'}),
        'queues': json.dumps({**state, 'name': 'queues', 'queues': 99}),
        'window': json.dumps({**state, 'name': 'window', 'window_size': 5000000}),
        'mac': json.dumps({**state, 'name': 'mac', 'mac': '01:00:00:00:00:00'}),
        'nomac': json.dumps({key: value for key, value in state.items() if key != 'mac'}
                            | {'name': 'nomac'}),
        'direct': json.dumps({**state, 'name': 'direct', 'mode': 'direct'}),
        'memory': json.dumps({**state, 'name': 'memory', 'memory': 64 << 20}),
        'twice': json.dumps({**state, 'name': 'twice'}),
        '.hidden': json.dumps(state),
        'user': json.dumps({**state, 'name': 'user', 'mac': '52:54:00:00:00:09',
                            'socket_user': 'no-such-user'}),
    }
    for name, text in bad.items():
        write_state(daemon, name, text)
    os.mkdir(state_file(daemon, 'directory'))
    os.mkfifo(state_file(daemon, 'fifo'))
    os.symlink('good.json', state_file(daemon, 'link'))
    write_state(daemon, 'ignored', '')
    os.rename(state_file(daemon, 'ignored'), f'{daemon.state_dir}/notes.txt')
    before = len(daemon.log())
    daemon.start()
    served = ports(daemon)
    # Which of two files with one MAC address comes first is nobody's business.
    check_equal(served in (['good'], ['twice']), True, f'ports {served}')
    log = daemon.log()[before:]
    names = set(bad) - {'.hidden', 'twice'} | {'directory', 'fifo', 'link'}
    for name in names:
        check_contains(log, f'state file {name}.json is not usable')
    check_contains(log, "its port not served: there is no user 'no-such-user'",
                   'has this MAC address already')
    for name in names - {'link'}:
        check_equal(os.path.lexists(state_file(daemon, name)), True, f'{name} is left alone')


def test_bad_state_has_addresses(daemon):
    """a port whose state file is not usable has its addresses, and nobody else"""
    daemon.start()
    daemon.ctl('network', 'add', 'blue', '--ipv4', '10.1.0.0/29', '--ipv6', 'fd00:1::/64')
    daemon.ctl('network', 'add', 'red', '--ipv4', '10.2.0.0/29')
    for number, name in enumerate(['newer', 'later', 'red'], 3):
        network = 'red' if name == 'red' else 'blue'
        daemon.add(f'vm{name}', '--network', network, '--ipv4',
                   f'10.{2 if name == "red" else 1}.0.{number}')
    daemon.stop()
    state = read_state(daemon, 'vmnewer')
    write_state(daemon, 'vmnewer', json.dumps({**state, 'colour': 'red'}))
    write_state(daemon, 'vmlater', json.dumps({**read_state(daemon, 'vmlater'), 'version': 9}))
    daemon.start()
    check_equal(ports(daemon), ['vmred'], 'ports')
    for address in '10.1.0.3', '10.1.0.4':
        daemon.fails_with(['add', 'vm9', '--network', 'blue', '--ipv4', address],
                          'a port that is not served')
    daemon.fails_with(['add', 'vm9', '--network', 'blue', '--ipv6', state['ipv6']],
                      'a port that is not served')
    daemon.fails_with(['network', 'del', 'blue'], 'ports that are not served')
    # Of which network it is nobody knows.
    daemon.ctl('del', 'vmred')
    daemon.stop()
    write_state(daemon, 'vm4', 'half of a fi')
    daemon.start()
    daemon.fails_with(['network', 'del', 'red'], 'ports that are not served')
    daemon.ctl('del', 'vm4')
    daemon.stop()
    daemon.start()
    daemon.ctl('network', 'del', 'red')


def test_disk(daemon):
    """state: what is answered outlives the machine, and nothing else does"""
    daemon.start()
    check_equal(daemon.kernel('disk'), 'sync directory', 'the directory itself')
    daemon.ctl('network', 'add', 'blue', '--ipv4', '10.1.0.0/24')
    written = 'sync file, rename {0}, sync directory'
    check_equal(daemon.kernel('disk'), written.format('blue.network'), 'a network')
    daemon.add('vm1', '--network', 'blue', '--ipv4', '10.1.0.7')
    check_equal(daemon.kernel('disk'), written.format('vm1.json'), 'a port')
    daemon.kernel('fail file 5')
    daemon.fails_with(('add', 'vm2', '--network', 'blue'), 'the state file vm2.json',
                      'Input/output error')
    check_equal(daemon.kernel('disk').split(', ')[:2], ['sync file', 'remove .vm2.json'],
                'a file that cannot be written')
    daemon.kernel('fail file 0')
    # It is not known whether a file is there that is not to be: the address is its own.
    daemon.kernel('fail directory 5')
    daemon.fails_with(('add', 'vm2', '--network', 'blue', '--ipv4', '10.1.0.8'), 'vm2.json')
    daemon.fails_with(('del', 'vm1'), 'cannot remove the state file vm1.json')
    daemon.kernel('fail directory 0')
    daemon.fails_with(('add', 'vm3', '--network', 'blue', '--ipv4', '10.1.0.8'), 'is not free')
    check_equal(ports(daemon), ['vm1'], 'ports')
    daemon.kernel('disk')
    daemon.ctl('del', 'vm1')
    check_equal(daemon.kernel('disk'), 'remove vm1.json, sync directory', 'a port that is deleted')
    daemon.stop()
    daemon.start()
    daemon.ctl('network', 'del', 'blue')
    check_equal(daemon.kernel('disk'), 'remove blue.network, sync directory', 'the network')


def test_second(daemon):
    """a second pvethd for the same directories refuses to start"""
    daemon.start()
    for args, word in [(('--run-dir', daemon.run_dir, '--state-dir', daemon.dir), 'run'),
                       (('--run-dir', f'{daemon.dir}/run2', '--state-dir', daemon.state_dir),
                        'state')]:
        done = subprocess.run([daemon.args()[0], '--foreground', *args], capture_output=True,
                              text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL, check=False)
        check_equal(done.returncode, 1, 'status')
        check_contains(done.stderr, 'another pvethd uses', word)
    daemon.ctl('list')


def test_run_dir(daemon):
    """a run directory that others can write to, or a long path, is refused"""
    os.mkdir(daemon.run_dir)
    os.chmod(daemon.run_dir, 0o777)
    deep = os.path.join(daemon.dir, 'x' * 100)
    for path, word in (daemon.run_dir, 'nobody else'), (deep, 'too long'), \
            ('/nonexistent/run', 'cannot make'), ('/dev/null', 'cannot open'):
        args = daemon.args()
        args[args.index('--run-dir') + 1] = path
        done = subprocess.run(args, capture_output=True, text=True, timeout=PATIENCE,
                              stdin=subprocess.DEVNULL, check=False)
        check_equal(done.returncode, 1, f'status for {path}')
        check_contains(done.stderr, word)


def test_background(daemon):
    """without --foreground pvethd answers as soon as the command returns"""
    args = [arg for arg in daemon.args() if arg != '--foreground']
    # From relative paths, since the daemon leaves the directory
    args = [os.path.relpath(arg, daemon.dir) if arg.startswith(daemon.dir) else arg
            for arg in args]
    with open(daemon.log_path, 'wb') as log:
        done = subprocess.run(args, input=b'', stdout=log, stderr=log, timeout=PATIENCE,
                              check=False, cwd=daemon.dir)
    check_equal((done.returncode, daemon.log()), (0, ''), 'status and messages')
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(f'{daemon.run_dir}/control')
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid = struct.unpack('3i', credentials)[0]
    try:
        check_equal(daemon.add('vm1')['socket'], f'{daemon.run_dir}/vm1.sock', 'socket')
        check_equal(os.readlink(f'/proc/{pid}/cwd'), '/', 'directory')
        for fd in range(3):
            check_equal(os.readlink(f'/proc/{pid}/fd/{fd}'), '/dev/null', f'file {fd}')
        check_equal(os.getsid(pid), pid, 'session')
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: listing(daemon.run_dir) == [], 'sockets are removed')


def test_background_fails(daemon):
    """without --foreground a failure is reported before the command returns"""
    daemon.start()
    args = [arg for arg in daemon.args() if arg != '--foreground']
    done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    check_equal(done.returncode, 1, 'status')
    check_contains(done.stderr, 'another pvethd')


def test_systemd(daemon):
    """systemd is told when pvethd is ready, and when it stops"""
    path = os.path.join(daemon.dir, 'notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(PATIENCE)
        os.environ['NOTIFY_SOCKET'] = path
        try:
            daemon.start()
        finally:
            del os.environ['NOTIFY_SOCKET']
        check_equal(sock.recv(100), b'READY=1', 'ready')
        daemon.stop()
        check_equal(sock.recv(100), b'STOPPING=1', 'stopping')
