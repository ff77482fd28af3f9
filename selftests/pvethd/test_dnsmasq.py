# SPDX-License-Identifier: GPL-2.0
"""What guests of networks are told, by dnsmasq."""
import os
import shutil
import signal

from harness import check_contains, check_equal, wait_for
from test_network import add_network, show_network


def start(daemon):
    """pvethd with a network and two ports."""
    daemon.start()
    add_network(daemon, 'blue', '--ipv4', '10.1.0.0/24', '--ipv6', 'fd00:1::/64',
                '--dns-domain', 'cloud.example.net')
    daemon.add('vm1', '--network', 'blue', '--mac', '02:00:00:00:00:01', '--ipv4', '10.1.0.7',
               '--ipv6', 'fd00:1::7')
    daemon.add('vm2', '--network', 'blue', '--mac', '02:00:00:00:00:02', '--ipv4', '10.1.0.8',
               '--ipv6', 'fd00:1::8', '--mtu', '1400')
    # However many requests it took together
    wait_for(lambda: len(daemon.dnsmasq_file('names').splitlines()) == 4, 'the names')
    says(daemon, 'start dhcp', 'start dns')


def says(daemon, *lines):
    """What was asked of dnsmasq since the last time, in any order.

    It starts and stops just so often. There may be more that it reads again.
    """
    def said():
        return [line.split() for line in daemon.dnsmasq_file('log').splitlines()]

    def is_said():
        found = said()
        for words in map(str.split, lines):
            same = [line for line in found if line[:len(words)] == words]
            if not same:
                return False
            found.remove(same[0])
        return True

    wait_for(is_said, f'dnsmasq: {lines}, not {said()}')
    check_equal(sum(line[0] != 'reload' for line in said()),
                sum(not line.startswith('reload') for line in lines), f'in {said()}')
    os.remove(os.path.join(daemon.run_dir, 'dnsmasq', 'log'))


def has_lines(daemon, name, *lines):
    wait_for(lambda: daemon.dnsmasq_file(name).split('\n')[:-1] == list(lines),
             f'{name}: {daemon.dnsmasq_file(name)!r}')


def test_dnsmasq(daemon):
    """dnsmasq: it is told of all networks and their ports"""
    start(daemon)
    host = f'{daemon.run_dir}/dnsmasq'
    has_lines(daemon, 'hosts', '02:00:00:00:00:01,10.1.0.7,[fd00:1::7],vm1',
              '02:00:00:00:00:02,10.1.0.8,[fd00:1::8],vm2')
    has_lines(daemon, 'options', 'tag:vm1,option:mtu,1500', 'tag:vm2,option:mtu,1400')
    daemon.kernel('mtu vm1 9000')
    has_lines(daemon, 'options', 'tag:vm1,option:mtu,9000', 'tag:vm2,option:mtu,1400')
    says(daemon, 'reload dhcp 2')
    has_lines(daemon, 'names', '10.1.0.7 vm1.cloud.example.net vm1',
              'fd00:1::7 vm1.cloud.example.net vm1', '10.1.0.8 vm2.cloud.example.net vm2',
              'fd00:1::8 vm2.cloud.example.net vm2')
    blue = ['dhcp-range=set:network/blue,10.1.0.0,static,255.255.255.0,1h',
            'dhcp-option=tag:network/blue,option:dns-server,10.1.0.1',
            'dhcp-option=tag:network/blue,option:domain-name,cloud.example.net',
            'dhcp-range=set:network/blue,fd00:1::,static,off-link,64,1h',
            'dhcp-option=tag:network/blue,option6:dns-server,[fd00:1::1]',
            'dhcp-option=tag:network/blue,option6:domain-search,cloud.example.net']
    common = ['# Written by pvethd', 'port=0', 'bind-dynamic', 'enable-ra', 'dhcp-ignore-names',
              'dhcp-ignore-clid', 'dhcp-lease-max=1048576', f'dhcp-hostsfile={host}/hosts',
              f'dhcp-optsfile={host}/options', f'dhcp-leasefile={host}/leases']
    has_lines(daemon, 'dhcp.conf', *common, *blue)
    # One without IPv4 and names; they are in the order of names.
    add_network(daemon, 'amber', '--ipv6', 'fd00:2::/120')
    has_lines(daemon, 'dhcp.conf', *common, 'dhcp-range=set:network/amber,fd00:2::,static,off-link,120,1h',
              'dhcp-option=tag:network/amber,option6:dns-server,[fd00:2::1]', *blue)
    has_lines(daemon, 'dns.conf', '# Written by pvethd', 'bind-dynamic', 'no-hosts',
              'domain-needed', 'bogus-priv', f'addn-hosts={host}/names',
              'listen-address=fd00:2::1', 'listen-address=10.1.0.1', 'listen-address=fd00:1::1',
              'local=/cloud.example.net/')
    says(daemon, 'stop dhcp', 'start dhcp', 'stop dns', 'start dns')
    # Names that are no host's, or something else for dnsmasq
    for number, name in enumerate(['10', '10m', 'infinite', 'vm.3'], 3):
        daemon.add(name, '--network', 'amber', '--mac', f'02:00:00:00:00:0{number}', '--ipv6',
                   f'fd00:2::{number}')
    has_lines(daemon, 'hosts', '02:00:00:00:00:03,[fd00:2::3]', '02:00:00:00:00:04,[fd00:2::4]',
              '02:00:00:00:00:05,[fd00:2::5]', '02:00:00:00:00:06,[fd00:2::6]',
              '02:00:00:00:00:01,10.1.0.7,[fd00:1::7],vm1',
              '02:00:00:00:00:02,10.1.0.8,[fd00:1::8],vm2')
    says(daemon, 'reload dhcp 6', 'reload dns 8')
    for port in 'vm1', 'vm2', 'vm.3', '10', '10m', 'infinite':
        daemon.ctl('del', port)
    for network in 'amber', 'blue':
        daemon.ctl('network', 'del', network)
    # Deleting ports may have started it again, or not.
    wait_for(lambda: daemon.dnsmasq_file('log').count('stop') ==
             daemon.dnsmasq_file('log').count('start') + 2, 'the end of dnsmasq')


def test_leases(daemon):
    """dnsmasq: an address is not leased any more when it is no port's"""
    start(daemon)
    leases = ['9 02:00:00:00:00:01 10.1.0.7 vm1 *', '9 02:00:00:00:00:02 10.1.0.8 vm2 *',
              'duid 00:01', '9 2 fd00:1::8 vm2 *', '9 1 fd00:1::7 vm1 *']

    def write_leases(*lines):
        with open(f'{daemon.run_dir}/dnsmasq/leases', 'w', encoding='utf-8') as file:
            file.write(''.join(line + '\n' for line in lines))

    write_leases(*leases)
    # Even if another port has it at once
    daemon.ctl('del', 'vm1')
    daemon.add('vm3', '--network', 'blue', '--ipv4', '10.1.0.7', '--ipv6', 'fd00:1::7')
    wait_for(lambda: 'start dhcp' in daemon.dnsmasq_file('log'), 'another start')
    has_lines(daemon, 'leases', *leases[1:4])
    wait_for(lambda: 'reload dns' in daemon.dnsmasq_file('log'), 'the names')
    # Also if nobody saw it,
    daemon.kill()
    os.remove(f'{daemon.state_dir}/vm2.json')
    os.remove(f'{daemon.run_dir}/dnsmasq/log')
    daemon.start()
    says(daemon, 'stop dhcp', 'start dhcp', 'reload dns 2')
    has_lines(daemon, 'leases', leases[2])
    # and what makes no sense, or is another guest's, is left out.
    unknown = '9 3 fd00:1::7 * *'
    write_leases('9 02:00:00:00:00:01', 'nonsense', '9 a b c d', leases[0], leases[2], leases[4],
                 unknown)
    daemon.stop()
    daemon.start()
    says(daemon, 'stop dhcp', 'start dhcp')
    has_lines(daemon, 'leases', leases[2], unknown)


def test_dnsmasq_stays(daemon):
    """dnsmasq: it outlives pvethd, and the next one goes on with it"""
    start(daemon)
    pids = daemon.dnsmasq_pids()
    daemon.stop()
    daemon.start()
    daemon.kill()
    daemon.start()
    daemon.add('vm10', '--network', 'blue')
    says(daemon, 'reload dhcp 3', 'reload dns 6')
    check_equal(daemon.dnsmasq_pids(), pids, 'processes')
    # What pvethd is told in its last moment, the next one tells.
    daemon.request(b'{"command": "del", "name": "vm10"}\n')
    daemon.stop()
    daemon.start()
    says(daemon, 'reload dhcp 2', 'reload dns 4')
    check_equal(daemon.dnsmasq_pids(), pids, 'processes after a last change')
    # One that was not started anew for what has changed is, later.
    daemon.kill()
    conf = f'{daemon.run_dir}/dnsmasq/dhcp.conf'
    shutil.copyfile(conf, f'{conf}.new')
    os.rename(f'{conf}.new', conf)
    daemon.start()
    says(daemon, 'stop dhcp', 'start dhcp', 'reload dns 4')
    daemon.stop()
    daemon.start()
    says(daemon, 'reload dhcp 2', 'reload dns 4')
    pids = daemon.dnsmasq_pids()
    # If it is gone, there is another, and another process is none.
    daemon.kill()
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    says(daemon, 'stop dhcp', 'stop dns')
    for name in 'dhcp', 'dns':
        with open(f'{daemon.run_dir}/dnsmasq/{name}.pid', 'w', encoding='utf-8') as file:
            file.write(f'{os.getpid()}\n')
    daemon.start()
    says(daemon, 'start dhcp', 'start dns')
    check_equal(os.getpid() in daemon.dnsmasq_pids(), False, 'the process of this test')


def test_dnsmasq_ends(daemon):
    """dnsmasq: if it ends, it is started again"""
    start(daemon)
    check_equal(show_network(daemon, 'blue')['problem'], None, 'problem')
    os.kill(daemon.dnsmasq_pids()[1], signal.SIGKILL)
    wait_for(lambda: show_network(daemon, 'blue')['problem'], 'a problem')
    check_contains(daemon.ctl('network', 'show', 'blue').stdout, 'get no names')
    says(daemon, 'start dns')
    check_equal(show_network(daemon, 'blue')['problem'], None, 'problem')
    check_equal(daemon.log().count('get no names'), 1, 'complaints')


def test_no_dnsmasq(daemon):
    """dnsmasq: networks need it"""
    daemon.path = daemon.dir
    daemon.start()
    daemon.fails_with(['network', 'add', 'blue', '--ipv4', '10.1.0.0/24'], 'dnsmasq-base')
    daemon.fails_with(['network', 'show', 'blue'], 'no network')
    # One that cannot run
    with open(f'{daemon.dir}/dnsmasq', 'w', encoding='utf-8') as file:
        file.write('#!/nowhere/at/all\n')
    os.chmod(file.name, 0o755)
    add_network(daemon, 'blue', '--ipv4', '10.1.0.0/24')
    wait_for(lambda: show_network(daemon, 'blue')['problem'], 'a problem')
    check_contains(show_network(daemon, 'blue')['problem'], 'cannot run dnsmasq')
    daemon.add('vm1', '--network', 'blue')
    wait_for(lambda: 'cannot run dnsmasq' in str(daemon.show('vm1')['problem']),
             'the same of a port')
