# SPDX-License-Identifier: GPL-2.0
"""The way out of networks, and ports of guests that are published there."""
import json

from harness import check_contains, check_equal, wait_for
from test_filter import chain, rules
from test_network import add_network, show_network

IN = 'iifname "eth0" fib daddr type local meta nfproto'


def start(daemon):
    daemon.start()
    daemon.kernel('link eth0 dummy 1')
    daemon.kernel('link eth1 dummy 1')


def add(daemon, name, *args):
    addresses = {'vm1': ('10.1.0.7', 'fd00:1::7'), 'vm2': ('10.1.0.8', 'fd00:1::8')}[name]
    return daemon.add(name, '--network', 'blue', '--ipv4', addresses[0], '--ipv6', addresses[1],
                      *args)


def test_uplink(daemon):
    """uplink: addresses are translated there, or not"""
    start(daemon)
    add_network(daemon, 'red', '--ipv4', '10.2.0.0/24')
    check_equal(chain(daemon, 'out'), None, 'rules without an uplink')
    blue = add_network(daemon, 'blue', '--ipv4', '10.1.0.0/24', '--ipv6', 'fd00:1::/64',
                       '--uplink', 'eth0', '--nat')
    check_equal([blue[key] for key in ('uplink', 'nat', 'nat66')], ['eth0', True, False],
                'network')
    nat = 'ip saddr 10.1.0.0/24 oifname "eth0" masquerade'
    check_equal(chain(daemon, 'out'), [nat], 'rules')
    check_equal(chain(daemon, 'in'), [], 'rules')
    # Names and addresses are for guests, whatever their network's uplink.
    dns = 'meta l4proto { tcp, udp } th dport 53 drop'
    check_equal(chain(daemon, 'guard'), ['iifname "eth0" udp dport { 67, 547 } drop',
                                         f'iifname "eth0" ip daddr 10.1.0.1 {dns}',
                                         f'iifname "eth0" ip6 daddr fd00:1::1 {dns}',
                                         f'iifname "eth0" ip daddr 10.2.0.1 {dns}'], 'rules')
    check_contains(daemon.kernel('network eth0'), 'IPv4.forwarding=1', 'routers=kept')
    green = add_network(daemon, 'green', '--ipv4', '10.3.0.0/24', '--ipv6', 'fd00:3::/64',
                        '--uplink', 'eth1', '--nat66')
    check_equal(green['nat66'], True, 'network')
    nat66 = 'ip6 saddr fd00:3::/64 oifname "eth1" masquerade'
    check_equal(chain(daemon, 'out'), [nat, nat66], 'rules')
    check_contains(daemon.ctl('network', 'show', 'green').stdout, 'uplink:        eth1\n',
                   'NAT:           no\n', 'NAT66:         yes\n')
    # As long as there is the network,
    daemon.kill()
    daemon.start()
    check_equal(chain(daemon, 'out'), [nat, nat66], 'rules after a restart')
    check_contains(show_network(daemon, 'blue')['problem'], 'the uplink eth0: ')
    # whoever deletes what it made,
    daemon.kernel('flush out')
    wait_for(lambda: chain(daemon, 'out') == [nat, nat66], 'the rules after a flush')
    daemon.kernel('fail nft 12')
    daemon.kernel('flush out')
    wait_for(lambda: 'cannot set up the way out of networks' in daemon.log(), 'a complaint')
    check_contains(show_network(daemon, 'blue')['problem'], 'cannot set up the way out')
    check_equal(show_network(daemon, 'red')['problem'], None, 'problem without an uplink')
    daemon.kernel('fail nft 0')
    wait_for(lambda: chain(daemon, 'out') == [nat, nat66], 'the rules at last')
    check_equal(daemon.log().count('cannot set up the way out'), 1, 'complaints')
    # and whenever the interface comes.
    daemon.kernel('link eth0 dummy 1')
    wait_for(lambda: 'IPv4.forwarding=1' in daemon.kernel('network eth0'), 'forwarding')
    check_equal(show_network(daemon, 'blue')['problem'], None, 'problem')
    daemon.ctl('network', 'del', 'green')
    check_equal(chain(daemon, 'out'), [nat], 'rules')
    daemon.kernel('fail nft 12')
    daemon.fails_with(['network', 'del', 'blue'], 'the test says so')
    daemon.fails_with(['network', 'add', 'green', '--ipv4', '10.3.0.0/24', '--uplink', 'eth0'],
                      'cannot set up the way out')
    daemon.kernel('fail nft 0')
    check_equal([network['name'] for network in
                 json.loads(daemon.ctl('network', 'list', '--json').stdout)], ['blue', 'red'],
                'networks')
    daemon.ctl('network', 'del', 'blue')
    check_equal(chain(daemon, 'out'), None, 'rules without an uplink')


def test_bad_uplinks(daemon):
    """uplink: what makes no sense is refused"""
    start(daemon)
    for args, status, *words in [
            (['--uplink', 'eth9'], 1, 'the uplink eth9'),
            (['--uplink', 'eth/0'], 2, '--uplink', 'cannot name'),
            (['--nat'], 1, '--nat is done on the way out', '--uplink'),
            (['--nat66'], 1, '--nat66 is done on the way out'),
            (['--uplink', 'eth0', '--nat66'], 1, 'no IPv6 addresses', '--nat66'),
            (['--publish', '80:80/tcp'], 2, "no option --publish")]:
        daemon.fails_with(['network', 'add', 'blue', '--ipv4', '10.1.0.0/24', *args], *words,
                          status=status)
    daemon.fails_with(['network', 'show', 'blue'], 'no network')


def test_publish(daemon):
    """uplink: ports of guests are reached there"""
    start(daemon)
    add_network(daemon, 'blue', '--ipv4', '10.1.0.0/24', '--ipv6', 'fd00:1::/64',
                '--uplink', 'eth0', '--nat')
    add_network(daemon, 'red', '--ipv4', '10.2.0.0/24', '--uplink', 'eth1')
    add_network(daemon, 'grey', '--ipv4', '10.3.0.0/24')
    port = add(daemon, 'vm1', '--publish', '8080:80/tcp', '--publish', '53:53/udp')
    check_equal(port['publish'], ['8080:80/tcp', '53:53/udp'], 'what is published')
    check_contains(daemon.ctl('show', 'vm1').stdout, 'published:     8080:80/tcp\n')
    wanted = [f'{IN} ipv4 tcp dport 8080 dnat ip to 10.1.0.7:80',
              f'{IN} ipv6 tcp dport 8080 dnat ip6 to [fd00:1::7]:80',
              f'{IN} ipv4 udp dport 53 dnat ip to 10.1.0.7:53',
              f'{IN} ipv6 udp dport 53 dnat ip6 to [fd00:1::7]:53']
    check_equal(chain(daemon, 'in'), wanted, 'rules')
    before = show_network(daemon, 'blue')
    for args, status, *words in [
            (['--network', 'blue', '--publish', '8080:81/tcp'], 1, '8080/tcp of eth0', 'vm1'),
            (['--network', 'blue', '--publish', '81:1/tcp', '--publish', '81:2/tcp'], 1,
             '81/tcp of eth0', 'for vm2'),
            (['--network', 'grey', '--publish', '81:1/tcp'], 1, 'no uplink'),
            (['--publish', '81:1/tcp'], 1, '--network'),
            *[(['--network', 'blue', '--publish', text], 2, f"'{text}'", '8080:80/tcp')
              for text in ('80', '80:80', '80:80/', '80:80/sctp', '0:80/tcp', '80:0/tcp',
                           '65536:80/tcp', '80:65536/tcp', '-1:80/tcp', '80:-1/tcp', ':80/tcp',
                           '80:/tcp', '80:80/tcpx', ' 80:80/tcp', '80: 80/tcp', '')]]:
        daemon.fails_with(['add', 'vm2', *args], *words, status=status)
    check_equal(show_network(daemon, 'blue'), before, 'network')
    daemon.kernel('fail nft 12')
    daemon.fails_with(['add', 'vm2', '--network', 'blue', '--publish', '81:1/tcp', '--allow',
                       'all'], 'cannot set up the way out')
    daemon.kernel('fail nft 0')
    check_equal(show_network(daemon, 'blue'), before, 'network')
    check_equal(chain(daemon, 'in'), wanted, 'rules')
    # Another protocol, and another interface
    add(daemon, 'vm2', '--publish', '8080:80/udp')
    daemon.add('vm3', '--network', 'red', '--publish', '8080:80/tcp', '--allow', 'all')
    check_equal(rules(daemon, 'vm3'), None, 'filter')
    check_equal(len(chain(daemon, 'in')), 7, 'rules')
    daemon.stop()
    daemon.start()
    check_equal(chain(daemon, 'in')[:4], wanted, 'rules after a restart')
    daemon.ctl('del', 'vm1')
    daemon.ctl('del', 'vm3')
    check_equal(chain(daemon, 'in'), [f'{IN} ipv4 udp dport 8080 dnat ip to 10.1.0.8:80',
                                      f'{IN} ipv6 udp dport 8080 dnat ip6 to [fd00:1::8]:80'],
                'rules')
