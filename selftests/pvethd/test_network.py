# SPDX-License-Identifier: GPL-2.0
"""Networks, and the addresses that ports have of them."""
import ipaddress
import json
import os
import random
import signal
import threading
import time

from harness import PATIENCE, check_contains, check_equal, listing, wait_for
from test_state import write_state

FAMILIES = 'ipv4', 'ipv6'


def add_network(daemon, name, *args):
    return json.loads(daemon.ctl('network', 'add', name, *args, '--json').stdout)


def show_network(daemon, name):
    return json.loads(daemon.ctl('network', 'show', name, '--json').stdout)


def blocked(daemon):
    return [word for word in daemon.kernel('blocked').split() if word[0] != '-']


def ask(daemon, **request):
    """What pvethd answers: faster than by pvethctl."""
    return json.loads(daemon.request(json.dumps(request).encode() + b'\n'))


def test_network(daemon):
    """network: it is added, listed, shown, and deleted"""
    daemon.start()
    added = add_network(daemon, 'blue', '--ipv4', '10.1.0.0/24', '--ipv6', 'fd00:1::/64',
                        '--exclude', '10.1.0.2-10.1.0.9', '--exclude', 'fd00:1::2')
    check_equal(added, {'name': 'blue', 'mode': 'routed', 'ipv4': '10.1.0.0/24', 'ipv6': 'fd00:1::/64',
                        'exclude': ['10.1.0.2-10.1.0.9', 'fd00:1::2'], 'ports': [],
                        'host_ipv4': '10.1.0.1', 'host_ipv6': 'fd00:1::1',
                        'free_ipv4': 245, 'free_ipv6': 2 ** 63 - 1, 'problem': None},
                'network')
    add_network(daemon, 'red', '--ipv6', 'fd00:2::/120')
    check_equal(show_network(daemon, 'blue'), added, 'network as shown')
    check_equal([network['name'] for network in
                 json.loads(daemon.ctl('network', 'list', '--json').stdout)],
                ['blue', 'red'], 'networks')
    text = daemon.ctl('network', 'show', 'blue').stdout
    check_contains(text, '10.1.0.0/24, fd00:1::/64', '10.1.0.1, fd00:1::1', '245', 'many')
    check_contains(daemon.ctl('network', 'show').stdout, 'blue', 'red', '254')
    check_contains(daemon.ctl('network', 'list').stdout, 'blue', '10.1.0.0/24  fd00:1::/64')
    check_equal(daemon.ctl('network', 'del', 'blue').stdout, 'Network blue deleted\n', 'del')
    daemon.fails_with(['network', 'show', 'blue'], "no network 'blue'", 'network add')
    daemon.fails_with(['network', 'del', 'blue'], "no network 'blue'")
    daemon.stop()
    daemon.start()
    check_equal(json.loads(daemon.ctl('network', 'list', '--json').stdout),
                [add for add in [show_network(daemon, 'red')]], 'networks after a restart')


def test_bad_networks(daemon):
    """network: what is malformed, too small, too large or overlaps is refused"""
    daemon.start()
    add_network(daemon, 'blue', '--ipv4', '10.1.0.0/24', '--ipv6', 'fd00:1::/64')
    before = json.loads(daemon.ctl('network', 'list', '--json').stdout)
    for args, status, *words in [
            (['red'], 1, 'needs addresses', '--ipv4'),
            (['blue', '--ipv4', '10.2.0.0/24'], 1, 'network blue already'),
            (['re/d', '--ipv4', '10.2.0.0/24'], 2, 'cannot name a network'),
            (['r' * 16, '--ipv4', '10.2.0.0/24'], 2, 'too long'),
            (['red', '--ipv4', '10.2.0.0'], 2, 'not an IPv4 prefix', '10.1.0.0/24'),
            (['red', '--ipv4', '10.2.0/24'], 2, 'not an IPv4 address'),
            (['red', '--ipv4', '10.2.0.0/33'], 2, 'from 0 to 32'),
            (['red', '--ipv4', '10.2.0.0/'], 2, 'from 0 to 32'),
            (['red', '--ipv4', '10.2.0.7/24'], 2, '10.2.0.0/24 would be'),
            (['red', '--ipv4', 'fd00:2::/64'], 2, 'not an IPv4 address'),
            (['red', '--ipv6', '10.2.0.0/24'], 2, 'not an IPv6 address'),
            (['red', '--ipv6', 'fd00:2::1/64'], 2, 'fd00:2::/64 would be'),
            (['red', '--ipv6', 'fd00:2::' + '0' * 60 + '/64'], 2, 'not an IPv6 prefix'),
            (['red', '--ipv4', '10.2.0.0/32'], 1, 'too small', '31'),
            (['red', '--ipv4', '10.0.0.0/7'], 1, 'too large', '8'),
            (['red', '--ipv6', 'fd00:2::/127'], 1, 'too small', '126'),
            (['red', '--ipv6', 'fd00:2::/63'], 1, 'too large', '64'),
            (['red', '--ipv4', '10.2.0.0/24', '--dns-domain', 'a..b'], 1, 'a..b', 'no domain'),
            (['red', '--ipv4', '10.2.0.0/24', '--dns-domain', '-a.b'], 1, 'no domain'),
            (['red', '--ipv4', '10.2.0.0/24', '--dns-domain', 'a_b'], 1, 'no domain'),
            (['red', '--ipv4', '10.2.0.0/24', '--dns-domain', 'a/b'], 1, 'no domain'),
            (['red', '--ipv4', '10.2.0.0/24', '--dns-domain', 'a' * 64], 1, 'no domain'),
            (['red', '--ipv4', '10.2.0.0/24', '--dns-domain', 'a.' * 127], 1, '253'),
            (['red', '--ipv4', '127.1.0.0/16'], 1, '127.0.0.0/8'),
            (['red', '--ipv4', '169.254.9.0/24'], 1, '169.254.0.0/16'),
            (['red', '--ipv4', '239.0.0.0/8'], 1, '224.0.0.0/3'),
            (['red', '--ipv6', 'fe80::/64'], 1, 'fe80::/10'),
            (['red', '--ipv6', 'ff05::/64'], 1, 'ff00::/8'),
            (['red', '--ipv4', '10.1.0.128/25'], 1, 'overlaps', 'network blue'),
            (['red', '--ipv4', '10.0.0.0/8'], 1, 'overlaps', 'network blue'),
            (['red', '--ipv6', 'fd00:1::/96'], 1, 'overlaps', 'network blue'),
            (['red', '--ipv4', '10.2.0.0/24', '--exclude', '10.2.0.300'], 2, '10.2.0.300'),
            (['red', '--ipv4', '10.2.0.0/24', '--exclude', '10.2.0.9-10.2.0.8'], 2, 'ends before'),
            (['red', '--ipv4', '10.2.0.0/24', '--exclude', '10.1.255.0-10.2.0.8'], 1,
             'not within network red'),
            (['red', '--ipv4', '10.2.0.0/24', '--exclude', 'fd00:2::5'], 1, 'not within'),
            (['red', '--ipv4', '10.2.0.0/24', '--exclude', '10.2.0.0/24'], 1, 'excluded'),
            (['red', '--ipv4', '10.2.0.0/24', '--mac', '52:54:00:00:00:01'], 2, '--mac'),
            ([], 2, 'needs the name of a network')]:
        daemon.fails_with(['network', 'add', *args], *words, status=status)
    for args, *words in [(['network'], 'command is missing', 'network add'),
                         (['network', 'paint'], "no command 'network paint'"),
                         (['network', 'list', 'blue'], 'too much'),
                         (['network', 'del', 'blue', 'red'], 'too much'),
                         (['list', '--ipv4', '10.1.0.2'], '--ipv4'),
                         (['add', 'vm1', '--exclude', '10.1.0.2'], '--exclude')]:
        daemon.fails_with(args, *words, status=2)
    for request in [{'exclude': 5}, {'exclude': [5]}, {'ipv4': 5}, {'colour': 'red'},
                    {'exclude': ['10.2.0.5'] * 257}, {'name': 7}]:
        answer = ask(daemon, **{'command': 'network add', 'name': 'red',
                                'ipv4': '10.2.0.0/24', **request})
        check_equal(list(answer), ['error'], f'answer to {request}')
    check_equal(json.loads(daemon.ctl('network', 'list', '--json').stdout), before, 'networks')
    check_equal(listing(daemon.state_dir), ['blue.network'], 'state files')


def test_host_addresses(daemon):
    """network: one that has addresses of where the host is is refused"""
    daemon.start('link eth0 dummy 1')
    daemon.kernel('address eth0 192.168.1.9/24')
    daemon.kernel('address eth0 2001:db8::9/64')
    for prefix in ('--ipv4', '192.168.1.0/24'), ('--ipv4', '192.168.1.64/26'), \
            ('--ipv4', '192.168.0.0/16'), ('--ipv6', '2001:db8::/64'):
        daemon.fails_with(['network', 'add', 'blue', *prefix], prefix[1], 'interface eth0')
    check_equal(listing(daemon.state_dir), [], 'state files')
    add_network(daemon, 'blue', '--ipv4', '192.168.2.0/24', '--ipv6', '2001:db8:0:1::/64')
    daemon.add('vm1', '--network', 'blue')
    # Where its state was lost, ports are there.
    daemon.kill()
    for name in 'blue.network', 'vm1.json':
        os.remove(os.path.join(daemon.state_dir, name))
    daemon.start('link vm1 pveth 1')
    daemon.kernel('address vm1 192.168.2.1/24')
    add_network(daemon, 'blue', '--ipv4', '192.168.2.0/24')


def test_addresses(daemon):
    """network: a port has addresses of it, the same for the same name, until it is deleted"""
    daemon.start()
    add_network(daemon, 'blue', '--ipv4', '10.1.0.0/24', '--ipv6', 'fd00:1::/64')
    first = daemon.add('vm1', '--network', 'blue')
    check_equal(ipaddress.ip_address(first['ipv4']) in ipaddress.ip_network('10.1.0.0/24'),
                True, 'IPv4 address')
    check_equal(ipaddress.ip_address(first['ipv6']) in ipaddress.ip_network('fd00:1::/64'),
                True, 'IPv6 address')
    check_equal(int(first['mac'][:2], 16) & 3, 2, 'MAC address is unicast and local')
    others = [daemon.add(f'vm{n}', '--network', 'blue') for n in range(2, 20)]
    for key in 'mac', *FAMILIES:
        check_equal(len({port[key] for port in [first, *others]}), 19, f'different {key}')
    check_contains(daemon.ctl('show', 'vm1').stdout, 'blue', first['ipv4'], first['ipv6'])
    check_contains(daemon.ctl('network', 'show', 'blue').stdout, first['ipv4'], first['ipv6'])

    def same(port):
        check_equal([port[key] for key in ('mac', *FAMILIES)],
                    [first[key] for key in ('mac', *FAMILIES)], 'addresses of vm1')

    daemon.fails_with(['network', 'del', 'blue'], 'has port vm1', 'pvethctl del vm1')
    daemon.kill()
    daemon.start()
    same(daemon.show('vm1'))
    free = show_network(daemon, 'blue')['free_ipv4']
    check_equal(free, 253 - 19, 'free addresses')
    daemon.ctl('del', 'vm1')
    check_equal(show_network(daemon, 'blue')['free_ipv4'], free + 1, 'free addresses')
    same(daemon.add('vm1', '--network', 'blue'))
    # Somebody else takes its place meanwhile.
    daemon.ctl('del', 'vm1')
    daemon.add('thief', '--network', 'blue', '--ipv4', first['ipv4'], '--ipv6', first['ipv6'],
               '--mac', first['mac'])
    again = daemon.add('vm1', '--network', 'blue')
    for key in 'mac', *FAMILIES:
        check_equal(again[key] != first[key], True, f'another {key}')


def test_wanted_addresses(daemon):
    """network: addresses that are asked for are had if they are free"""
    daemon.start()
    add_network(daemon, 'blue', '--ipv4', '10.1.0.0/29', '--ipv6', 'fd00:1::/64',
                '--exclude', '10.1.0.2')
    add_network(daemon, 'red', '--ipv6', 'fd00:2::/64')
    port = daemon.add('vm1', '--network', 'blue', '--ipv4', '10.1.0.3', '--ipv6', 'fd00:1::3',
                      '--mac', '52:54:00:00:00:01')
    check_equal([port['ipv4'], port['ipv6'], port['mac']],
                ['10.1.0.3', 'fd00:1::3', '52:54:00:00:00:01'], 'addresses')
    before = show_network(daemon, 'blue')
    for args, status, *words in [
            (['--ipv4', '10.1.0.4'], 1, '--network'),
            (['--network', 'green'], 1, "no network 'green'"),
            (['--network', 'gr/een'], 2, 'cannot name a network'),
            (['--network', 'blue', '--ipv4', '10.1.0.3'], 1, 'port vm1'),
            (['--network', 'blue', '--ipv6', 'fd00:1::3'], 1, 'port vm1'),
            (['--network', 'blue', '--ipv4', '10.1.0.1'], 1, "host's"),
            (['--network', 'blue', '--ipv6', 'fd00:1::1'], 1, "host's"),
            (['--network', 'blue', '--ipv4', '10.1.0.0'], 1, 'not free'),
            (['--network', 'blue', '--ipv4', '10.1.0.7'], 1, 'not free'),
            (['--network', 'blue', '--ipv6', 'fd00:1::'], 1, 'not free'),
            (['--network', 'blue', '--ipv4', '10.1.0.2'], 1, 'not free', 'excludes'),
            (['--network', 'blue', '--ipv4', '10.1.1.2'], 1, 'not an address of network blue'),
            (['--network', 'blue', '--ipv6', 'fd00:2::2'], 1, 'not an address of network blue'),
            (['--network', 'red', '--ipv4', '10.1.0.4'], 1, 'no IPv4 addresses'),
            (['--network', 'blue', '--mac', '52:54:00:00:00:01'], 1, 'MAC address already'),
            (['--network', 'blue', '--ipv4', '10.1.0.4/29'], 2, 'not an IPv4 address'),
            # Found out when it has its addresses
            (['--network', 'blue', '--bridge', 'br0'], 1, 'no bridge'),
            (['--network', 'blue', '--mtu', '1279'], 1, '1280'),
            (['--network', 'blue', '--socket-user', 'no-such-user'], 1, 'no-such-user')]:
        daemon.fails_with(['add', 'vm2', *args], *words, status=status)
    check_equal(show_network(daemon, 'blue'), before, 'network')
    check_equal(listing(daemon.state_dir),
                ['blue.network', 'red.network', 'vm1.json'], 'state files')


def test_routes(daemon):
    """network: the host has an address on each port of it, and a route to each guest"""
    daemon.start()
    add_network(daemon, 'blue', '--ipv4', '10.1.0.0/24', '--ipv6', 'fd00:1::/64')
    add_network(daemon, 'red', '--ipv6', 'fd00:2::/64')
    both = daemon.add('vm1', '--network', 'blue')
    one = daemon.add('vm2', '--network', 'red')
    daemon.add('vm3')

    def network(name):
        return daemon.kernel(f'network {name}').split()

    def check(name, *words):
        wait_for(lambda: set(words) <= set(network(name)), f'network of {name}: {words}')

    addresses = '10.1.0.1/24', 'fd00:1::1/64'
    routes = f'{both["ipv4"]}<10.1.0.1', f'{both["ipv6"]}<fd00:1::1'
    check('vm1', *addresses, *routes, 'IPv4.forwarding=1', 'IPv4.proxy_arp=1',
          'IPv4.accept_redirects=0', 'IPv6.accept_ra=0')
    check('vm2', 'fd00:2::1/64', f'{one["ipv6"]}<fd00:2::1', 'IPv6.accept_ra=0',
          'IPv6.accept_redirects=0', 'IPv4.accept_redirects=0')
    check_equal(sum('/' in word or '<' in word for word in network('vm2')), 2, 'of vm2')
    check_equal(network('vm3'), [], 'network of a port in none')
    # Without an interface that is up there are no routes; they come back with it,
    daemon.kernel('down vm1')
    daemon.ctl('list')
    check_equal([word for word in network('vm1') if '<' in word], [], 'routes')
    check_equal('cannot route' in daemon.log(), False, 'a complaint')
    daemon.kernel('up vm1')
    check('vm1', *addresses, *routes)
    # with another interface,
    daemon.kernel('unlink vm1')
    daemon.kernel('link vm1 pveth 1')
    check('vm1', *addresses, *routes)
    # and after a restart.
    daemon.kill()
    daemon.start()
    check('vm1', *addresses, *routes)
    # What fails now is done later,
    daemon.kernel('down vm1')
    daemon.kernel('fail route 12')
    daemon.kernel('up vm1')
    check_contains(wait_for(lambda: daemon.show('vm1')['problem'], 'a problem'),
                   'cannot route to the guest')
    daemon.kernel('fail route 0')
    check('vm1', *routes)
    wait_for(lambda: daemon.show('vm1')['problem'] is None, 'no problem')
    check_equal(daemon.log().count('vm1: cannot route'), 1, 'complaints')
    # or there is no port.
    daemon.kernel('fail route 12')
    daemon.fails_with(['add', 'vm4', '--network', 'blue'], 'cannot route to the guest')
    check_equal(daemon.kernel('show vm4'), 'none', 'interface')
    check_equal(show_network(daemon, 'blue')['free_ipv4'], 252, 'free addresses')
    daemon.fails_with(['network', 'add', 'green', '--ipv4', '10.9.0.0/24'],
                      'the test says so')
    daemon.fails_with(['network', 'show', 'green'], 'no network')
    daemon.kernel('fail route 0')
    # What is nobody's is nowhere.
    check_equal(sorted(daemon.kernel('blocked').split()),
                ['10.1.0.0/24', 'fd00:1::/64', 'fd00:2::/64'], 'prefixes that are unreachable')
    for name in 'vm1', 'vm2':
        daemon.ctl('del', name)
    daemon.ctl('network', 'del', 'blue')
    check_equal(blocked(daemon),
                ['fd00:2::/64'], 'prefixes that are unreachable')


def test_full_network(daemon):
    """network: every address of it is given to one port, then it is full"""
    daemon.start()
    for name, prefix, free in [('v4', '10.1.0.0/26', 61), ('link', '10.2.0.0/31', 1),
                               ('two', '10.3.0.0/30', 1)]:
        check_equal(add_network(daemon, name, '--ipv4', prefix)['free_ipv4'], free, prefix)
    check_equal(add_network(daemon, 'v6', '--ipv6', 'fd00:1::/122')['free_ipv6'], 62, 'IPv6')
    for network, key, count in ('v4', 'ipv4', 61), ('v6', 'ipv6', 62), ('link', 'ipv4', 1):
        ports = [ask(daemon, command='add', name=f'{network}-{n}', network=network)['result']
                 for n in range(count)]
        check_equal(len({port[key] for port in ports}), count, f'different {key}')
        daemon.fails_with(['add', 'more', '--network', network], f'network {network} is full')
        check_equal(show_network(daemon, network)[f'free_{key}'], 0, 'free addresses')
        victim = random.choice(ports)
        daemon.ctl('del', victim['name'])
        check_equal(daemon.add('more', '--network', network)[key], victim[key],
                    'the address that is free')
        daemon.ctl('del', 'more')


def test_bad_network_state(daemon):
    """network: state files that contradict are logged, and no address is given twice"""
    daemon.start()
    add_network(daemon, 'blue', '--ipv4', '10.1.0.0/30', '--ipv6', 'fd00:1::/64')
    port = daemon.add('vm1', '--network', 'blue')
    daemon.ctl('del', 'vm1')
    daemon.stop()
    state = {key: port[key] for key in ('mac', 'network', *FAMILIES)} | {'version': 1}
    for name, change in [('half', {'ipv6': None}), ('lost', {'network': 'green'}),
                         ('stray', {'ipv4': '10.9.0.2'}), ('hosts', {'ipv4': '10.1.0.1'}),
                         ('user', {'socket_user': 'no-such-user'})]:
        own = {key: value for key, value in (state | {'name': name} | change).items()
               if value is not None}
        write_state(daemon, name, json.dumps(own))
    for name, text in [('green', '{}'), ('red', 'half of a fi')]:
        with open(f'{daemon.state_dir}/{name}.network', 'w', encoding='utf-8') as file:
            file.write(text)
    before = len(daemon.log())
    daemon.start()
    log = daemon.log()[before:]
    for words in ['half.json is not usable, and its port not served: it has no "ipv6"',
                  "lost.json is not usable, and its port not served: there is no network 'green'",
                  'stray.json is not usable', 'hosts.json is not usable',
                  'user.json is not usable', 'green.network is not usable, and its network not',
                  'red.network is not usable']:
        check_contains(log, words)
    # A network that is not usable is not replaced: ports may have its addresses.
    daemon.fails_with(['network', 'add', 'red', '--ipv4', '10.2.0.0/24'], 'already',
                      'cannot be used')
    with open(f'{daemon.state_dir}/red.network', encoding='utf-8') as file:
        check_equal(file.read(), 'half of a fi', 'state')
    # The port that is not served has it, and its name.
    daemon.fails_with(['add', 'vm1', '--network', 'blue'], 'full')
    daemon.fails_with(['add', 'user'], 'not served', 'pvethctl del user')
    daemon.fails_with(['network', 'del', 'blue'], 'not served')
    for name in 'half', 'lost', 'stray', 'hosts', 'user':
        daemon.ctl('del', name)
    daemon.fails_with(['del', 'user'], "no port 'user'")
    daemon.stop()
    daemon.start()
    daemon.add('vm1', '--network', 'blue')
    daemon.ctl('del', 'vm1')
    daemon.ctl('network', 'del', 'blue')


def run_at_random(daemon, said, stop):
    """Add and delete ports; said is what pvethd has promised of each."""
    number = 0
    while not stop.is_set():
        number += 1
        name = f'vm{random.randrange(8)}'
        command = random.choice(['add', 'del'])
        request = {'command': command, 'name': name}
        if command == 'add':
            request['network'] = 'blue'
        before = said.get(name)
        said[name] = 'anything'
        try:
            answer = ask(daemon, **request)
        except (OSError, ValueError):
            return
        if 'error' in answer:
            said[name] = before
        elif command == 'add':
            said[name] = [answer['result'][key] for key in ('mac', *FAMILIES)]
        else:
            said[name] = None


KILLS = 200


def test_killed_at_random(daemon):
    """network: pvethd killed at any time loses no address, and gives none twice"""
    daemon.start()
    add_network(daemon, 'blue', '--ipv4', '10.1.0.0/28', '--ipv6', 'fd00:1::/124')
    said, kept = {}, 0
    start = time.monotonic()
    daemon.add('vm0', '--network', 'blue')
    # Some requests, however slow the machine is
    span = 2 * (time.monotonic() - start)
    daemon.ctl('del', 'vm0')
    for _ in range(KILLS):
        stop = threading.Event()
        thread = threading.Thread(target=run_at_random, args=(daemon, said, stop))
        thread.start()
        time.sleep(random.uniform(0, span))
        daemon.process.send_signal(signal.SIGKILL)
        stop.set()
        thread.join(PATIENCE)
        check_equal(thread.is_alive(), False, 'a request is waited for')
        daemon.process.wait(PATIENCE)
        daemon.forget_process()
        daemon.start()
        ports = ask(daemon, command='list')['result']
        found = {port['name']: [port[key] for key in ('mac', *FAMILIES)] for port in ports}
        for name, promise in said.items():
            if promise != 'anything':
                check_equal(found.get(name), promise, name)
            said[name] = found.get(name)
        kept += sum(promise is not None for promise in said.values())
        for i in range(3):
            check_equal(len({port[i] for port in found.values()}), len(found), 'different ones')
        network = show_network(daemon, 'blue')
        check_equal(network['free_ipv4'], 13 - len(found), 'free IPv4 addresses')
        check_equal(network['free_ipv6'], 14 - len(found), 'free IPv6 addresses')
        check_equal([name for name in listing(daemon.state_dir) if name[0] == '.'], [],
                    'unfinished files')
    check_equal(kept > KILLS, True, f'ports that were there after a kill: {kept}')


def test_bridged(daemon):
    """network: in bridged mode its ports are in its bridge, which has the host's addresses"""
    daemon.start()
    blue = add_network(daemon, 'blue', '--ipv4', '10.1.0.0/24', '--ipv6', 'fd00:1::/64',
                       '--mode', 'bridged')
    check_equal([blue['mode'], blue['isolated']], ['bridged', False], 'network')
    add_network(daemon, 'red', '--ipv4', '10.2.0.0/24', '--mode', 'bridged', '--isolated')
    check_contains(daemon.ctl('network', 'show', 'red').stdout, 'bridged, ports isolated')
    one = daemon.add('vm1', '--network', 'blue')
    daemon.add('vm2', '--network', 'red')
    check_equal(blocked(daemon), ['10.1.0.0/24', 'fd00:1::/64', '10.2.0.0/24'], 'prefixes')

    def check():
        wait_for(lambda: daemon.kernel('master vm1') == 'blue', 'vm1 in its bridge')
        wait_for(lambda: daemon.kernel('master vm2') == 'red isolated', 'vm2 in its bridge')
        wait_for(lambda: {'10.1.0.1/24', 'fd00:1::1/64', f'{one["ipv4"]}<10.1.0.1',
                          f'{one["ipv6"]}<fd00:1::1', 'IPv4.forwarding=1', 'IPv4.proxy_arp=0',
                          'IPv6.accept_ra=0', 'IPv6.addr_gen_mode=0'} <=
                 set(daemon.kernel('network blue').split()), 'network of the bridge')

    check()
    check_equal(daemon.kernel('network vm1').split(), [], 'routes of a port in a bridge')
    wait_for(lambda: 'tag:blue,option:mtu,1500' in daemon.dnsmasq_file('options'), 'options')
    check_contains(daemon.dnsmasq_file('dhcp.conf'), 'fd00:1::,static,64,')
    check_contains(daemon.ctl('show', 'vm1').stdout, one['ipv4'])
    # Isolated ones do not reach each other through the host either.
    check_contains(daemon.kernel('rules guest/vm2'),
                   'ip daddr 10.2.0.0/24 ip daddr != 10.2.0.1 goto drop/other')
    check_equal('drop/other' in daemon.kernel('rules guest/vm1'), False, 'isolation')
    # Whatever becomes of them, they are there again.
    daemon.kernel('unlink blue')
    check()
    daemon.kernel('rename blue other')
    check()
    daemon.kernel('unlink other')
    daemon.kernel('down blue')
    check_equal(any('<' in word for word in daemon.kernel('network blue').split()), False,
                'routes while it is down')
    daemon.kernel('up blue')
    check()
    daemon.kernel('unlink vm2')
    daemon.kernel('link vm2 pveth 1')
    check()
    # What the filter keeps from the guest is the address that the bridge has: a bridge of
    # another is not taken for ours.
    host = network_local(daemon, 'blue')
    check_contains(daemon.kernel('rules guest/vm1'), f'nd-neighbor-advert @th,64,128 {host} ')
    daemon.kill()
    daemon.start('link blue bridge 1')
    wait_for(lambda: 'an interface blue that pvethd has not made' in daemon.log(), 'a complaint')
    check_contains(show_network(daemon, 'blue')['problem'], 'pvethd has not made')
    check_equal(daemon.kernel('master vm1'), 'none', 'master')
    daemon.kernel('unlink blue')
    check()
    check_equal(show_network(daemon, 'blue')['problem'], None, 'problem')
    check_equal(network_local(daemon, 'blue'), host, 'address of a bridge that is made anew')
    for name in 'vm1', 'vm2':
        daemon.ctl('del', name)
    check_equal('<' in daemon.kernel('network blue'), False, 'route of a port that is deleted')
    daemon.ctl('network', 'del', 'blue')
    check_equal(daemon.kernel('show blue'), 'none', 'bridge of a network that is gone')
    check_equal(blocked(daemon), ['10.2.0.0/24'], 'prefixes')


def network_local(daemon, name):
    """The link-local address of a bridge, as a number"""
    mac = bytes.fromhex(daemon.kernel(f'mac-of {name}'))
    return '0xfe80000000000000' + (bytes([mac[0] ^ 2]) + mac[1:3] + b'\xff\xfe' + mac[3:]).hex()


def test_bad_bridges(daemon):
    """network: what cannot be in bridged mode is refused, and leaves nothing"""
    daemon.start('link green bridge 1')
    bad = {
        ('green', '--mode', 'bridged'): 'there is an interface green already',
        ('blue', '--mode', 'flat'): "'flat' is no mode of a network: use routed or bridged",
        ('blue', '--isolated'): '--isolated is for --mode bridged',
    }
    for (name, *args), says in bad.items():
        answer = daemon.ctl('network', 'add', name, '--ipv4', '10.3.0.0/24', *args, fails=True)
        check_contains(answer.stderr, says)
    daemon.kernel('fail add 12')
    answer = daemon.ctl('network', 'add', 'blue', '--ipv4', '10.3.0.0/24', '--mode', 'bridged',
                        fails=True)
    check_contains(answer.stderr, 'the bridge blue: ')
    check_equal([daemon.kernel('show blue'), blocked(daemon)], ['none', []],
                'what is not wanted')
    daemon.kernel('fail add 0')
    check_equal(json.loads(daemon.ctl('network', 'list', '--json').stdout), [], 'networks')
    add_network(daemon, 'blue', '--ipv4', '10.3.0.0/24', '--mode', 'bridged')
    # One of another is not pvethd's to delete.
    daemon.kill()
    daemon.start('link blue bridge 1')
    daemon.ctl('network', 'del', 'blue')
    check_equal(daemon.kernel('show blue') == 'none', False, 'the bridge is gone')
