# SPDX-License-Identifier: GPL-2.0
"""pvethd.conf, and pvethd --check."""
import os
import signal
import subprocess

from harness import BIN, PATIENCE, check_contains, check_equal, listing, wait_for

NETWORK = """
network blue {
    ipv4 = 10.1.0.0/24
    ipv6 = "FD00:1::/64"    # whatever the case
    exclude = { 10.1.0.2-10.1.0.9, "fd00:1::2" }
    uplink = eth0
    nat = yes
    nat66 = no
}
"""
PORTS = """
port vm1 {
    network = blue
    ipv4 = 10.1.0.70
    mac = 52:54:00:77:00:0A
    queues = 4
    publish = { 8080:80/tcp, "53:53/udp" }
    rate-in = 100mbit
}
port vm2 { network = blue }
port vm3 { }
"""


def check(daemon, text, status):
    """What pvethd --check says of a file, and where it ends"""
    daemon.configure(text)
    done = subprocess.run([os.path.join(BIN, 'pvethd-fake'), '--check', '--config', daemon.config],
                          capture_output=True, text=True, timeout=PATIENCE, check=False)
    check_equal(done.returncode, status, f'exit status of the check of {text!r}')
    return done.stderr if status else done.stdout


def test_check(daemon):
    """check: a good file is good, and nothing comes of it"""
    check_equal(check(daemon, NETWORK + PORTS, 0),
                f'{daemon.config}: nothing is wrong; networks: 1, ports: 3\n', 'answer')
    check_equal(check(daemon, '', 0),
                f'{daemon.config}: nothing is wrong; networks: 0, ports: 0\n', 'answer')
    check_equal([os.path.exists(path) for path in (daemon.run_dir, daemon.state_dir)],
                [False, False], 'directories')


def test_order(daemon):
    """configuration: who asks for an address has it, wherever it is in the file"""
    wanted = 'port last { network = tiny\n ipv4 = 10.1.0.%d }\n'
    daemon.start()
    for address in range(2, 7):
        daemon.configure('network tiny { ipv4 = 10.1.0.0/29 }\n' +
                         ''.join(f'port a{n} {{ network = tiny }}\n' for n in range(4)) +
                         wanted % address)
        check(daemon, open(daemon.config, encoding='utf-8').read(), 0)
        daemon.reload()
        check_equal(daemon.show('last')['ipv4'], f'10.1.0.{address}', 'address')
        for name in ('last', 'a0', 'a1', 'a2', 'a3'):
            daemon.ctl('del', name)


def test_configured_later(daemon):
    """configuration: what cannot be had yet is had when it can, and said once"""
    daemon.configure('network blue { ipv4 = 10.1.0.0/24\n uplink = eth0 }\n'
                     'port vm1 { network = blue }\nport vm2 { bridge = br0 }\nport vm3 { }')
    daemon.start()
    check_equal([port['name'] for port in daemon.list()], ['vm3'], 'ports')
    # Who is deleted meanwhile stays deleted.
    daemon.ctl('del', 'vm3')
    daemon.kernel('link br0 bridge 1')
    wait_for(lambda: [port['name'] for port in daemon.list()] == ['vm2'], 'vm2')
    daemon.kernel('link eth0 dummy 1')
    wait_for(lambda: [port['name'] for port in daemon.list()] == ['vm1', 'vm2'], 'vm1')
    check_equal(daemon.log().count('the uplink eth0'), 1, 'complaints')
    # An option that is given no more is another one.
    daemon.configure('network blue { ipv4 = 10.1.0.0/24 }')
    daemon.reload()
    check_contains(daemon.log(), "another 'uplink' for network blue")
    daemon.configure('port vm1 { }')
    daemon.reload()
    check_contains(daemon.log(), "another 'network' for port vm1")


def test_example(daemon):
    """check: the example is a good file, as it comes and with all that is in it"""
    path = os.path.join(os.path.dirname(__file__), '../../hypervisor-side/pvethd/pvethd.conf')
    with open(path, encoding='utf-8') as file:
        text = file.read()
    check_contains(check(daemon, text, 0), 'networks: 0, ports: 0')
    check_contains(check(daemon, text.replace('#:', ''), 0), 'networks: 1, ports: 2')


def test_bad_files(daemon):
    """check: what is wrong is said, and in which line"""
    bad = {
        'port vm1 {\n queues = 99\n}\n': ":3: port vm1: queues: '99' is not a number from 1 to 16",
        'port vm1 {\n\n foo = 1\n}': ":3: no such option 'foo'",
        'foo = 1': ":1: no such option 'foo'",
        'port vm1 { nat = yes }': ":1: no such option 'nat'",
        'network n { queues = 1 }': ":1: no such option 'queues'",
        'network n {\n nat = maybe\n}': ":2: invalid boolean value for option 'nat'",
        'port vm1 {\n queues = 2': ":3: a section has no end: '}' is missing",
        'port vm1 { }\n/* what': ':2: what begins here with / has no end',
        'port vm1 { }\0port vm2 { queues = 99 }': ': it has a character that is none',
        '\nport vm1 { mode = "window': ':2: what begins here with " has no end',
        'port': ":2: missing opening brace for section 'port'",
        # Lines are counted, whatever is in them.
        'port vm1 { queues = 1# don\'t\n mtu = 1\n}': ":3: port vm1: mtu: '1' is not a number",
        '# one\n// two\n/* three\nfour */ port vm1 { queues = 1 # five\n queues = "99" }':
            ":5: port vm1: queues: '99' is not a number",
        'port vm1 { memory-dir = "/a#b//c" mode = direct memory = 64M machine = x }':
            ":1: port vm1: 'x' is no machine type",
        'port vm1 { }\nport|mtu = 9000': ":2: '|' is in no word",
        'port vm1 { bridge = "../x" }': ":1: port vm1: '../x' cannot name a bridge",
        'network br7 { ipv4 = 10.0.0.0/24\nmode = bridged }\nport br7 { }':
            ': port br7: the bridge of network br7 has this name already',
        'port { }': ":1: missing title for section 'port'",
        'port a/b { }': ":1: port a/b: 'a/b' cannot name a port",
        'port vm1 { }\nport vm1 { }': ":2: found duplicate title 'vm1'",
        'port vm1 { network = blue }': ": port vm1: there is no network 'blue'",
        'port vm1 { publish = 80:80/tcp }': ':1: port vm1: what is published is an address of a network',
        'port vm1 { mac = 52:54:00:00:00:01 }\nport vm2 { mac = 52:54:00:00:00:01 }':
            ': port vm2: port vm1 has this MAC address already',
        'network a { ipv4 = 10.0.0.0/24 }\nnetwork b { ipv4 = 10.0.0.0/16 }':
            ": network b: the network 10.0.0.0/16 overlaps with 10.0.0.0/24, which is network a's",
        NETWORK + 'port vm1 { network = blue\n ipv4 = 10.1.0.7 }': ': port vm1: 10.1.0.7 is not free',
        NETWORK + 'port a { network = blue\n publish = 80:80/tcp }\n'
                  'port b { network = blue\n publish = 80:8080/tcp }':
            ': port b: port 80/tcp of eth0 is published for a already',
        'run-dir = run': ": run-dir must be an absolute path, not 'run'",
    }
    for text, says in bad.items():
        check_contains(check(daemon, text, 1), f'pvethd: {daemon.config}{says}')
    os.remove(daemon.config)
    os.mkdir(daemon.config)
    done = subprocess.run([os.path.join(BIN, 'pvethd-fake'), '--foreground', '--run-dir',
                           daemon.run_dir, '--state-dir', daemon.state_dir,
                           '--config', daemon.config], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=PATIENCE, check=False)
    check_equal([done.returncode, done.stderr],
                [1, f'pvethd: cannot read {daemon.config}: Is a directory\n'], 'answer')


def test_configuration(daemon):
    """configuration: what it has is there from the start, and stays as it was made"""
    daemon.configure(NETWORK + PORTS)
    daemon.start('link eth0 dummy 1')
    names = ['vm1.json', 'vm2.json', 'vm3.json']
    check_equal([name for name in listing(daemon.state_dir) if name.startswith('vm')], names,
                'state files')
    port = daemon.show('vm1')
    check_equal([port[key] for key in ('ipv4', 'mac', 'queues', 'rate_in', 'publish')],
                ['10.1.0.70', '52:54:00:77:00:0a', 4, 10**8, ['8080:80/tcp', '53:53/udp']], 'port')
    before = [port['mac'] for port in daemon.list()]
    daemon.kill()
    daemon.start('link eth0 dummy 1')
    check_equal([port['mac'] for port in daemon.list()], before, 'MAC addresses')
    check_equal('another' in daemon.log(), False, f'complaint in {daemon.log()}')
    # What it does not have may be there as well.
    daemon.add('vm9')
    daemon.configure(NETWORK.replace('exclude', 'dns-domain = example.net\nexclude') +
                     PORTS.replace('queues = 4', 'queues = 2') + 'port vm4 { mtu = 9000 }')
    daemon.reload()
    check_equal([port['name'] for port in daemon.list()], ['vm1', 'vm2', 'vm3', 'vm4', 'vm9'],
                'ports')
    check_contains(daemon.log(),
                   "has another 'dns_domain' for network blue than it was made with",
                   "has another 'queues' for port vm1 than it was made with")
    check_equal(daemon.show('vm1')['queues'], 4, 'queue pairs')
    daemon.ctl('del', 'vm1')
    daemon.reload()
    check_equal(daemon.show('vm1')['queues'], 2, 'queue pairs of one that is made anew')


def test_bad_reload(daemon):
    """configuration: one that cannot be read changes nothing, and one that cannot be had is said"""
    daemon.configure('port vm1 { }')
    daemon.start()
    daemon.configure('port vm2 { }\nport vm3 { queues = 99 }')
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: 'the configuration stays as it is: ' in daemon.log(), 'a complaint')
    check_equal([port['name'] for port in daemon.list()], ['vm1'], 'ports')
    daemon.kernel('link vm2 dummy 1')
    daemon.configure('port vm1 { }\nport vm2 { }\nport vm3 { }')
    daemon.reload()
    check_contains(daemon.log(), 'pvethd: port vm2: ')
    check_equal([port['name'] for port in daemon.list()], ['vm1', 'vm3'], 'ports')
