# SPDX-License-Identifier: GPL-2.0
"""What the guest of a port may send."""
import json

from harness import Qemu, check_contains, check_equal, wait_for
from test_network import add_network, show_network

PORT = ('vm1', '--network', 'blue', '--mac', '02:00:00:00:00:01', '--ipv4', '10.1.0.7',
        '--ipv6', 'fd00:1::7')
LOCAL = '0xfe80000000000000'
OWN_LOCAL = '0xfe80000000000000000000fffe000001'
HOST_NUMBER = '0xfe80000000000000020000fffe000000'
OWN_OPTIONS = ['icmpv6 type nd-neighbor-advert @th,192,16 0x0201 @th,208,48 != 0x020000000001 '
               'goto drop/ndp',
               'icmpv6 type nd-neighbor-solicit @th,192,16 0x0101 @th,208,48 != 0x020000000001 '
               'goto drop/ndp',
               'icmpv6 type nd-router-solicit @th,64,16 0x0101 @th,80,48 != 0x020000000001 '
               'goto drop/ndp']
GLOBAL = '0xfd000001000000000000000000000007'


def chain(daemon, name):
    """The rules of a chain of nftables, or None if there is none."""
    text = daemon.kernel(f'rules {name}')
    return None if text == 'none' else [rule for rule in text.rstrip('; ').split('; ') if rule]


def rules(daemon, port):
    """What is asked of the guest's frames."""
    return chain(daemon, f'guest/{port}')


def start(daemon):
    daemon.start()
    add_network(daemon, 'blue', '--ipv4', '10.1.0.0/24', '--ipv6', 'fd00:1::/64')


def test_filter(daemon):
    """filter: a port of a network has one, of its own addresses"""
    start(daemon)
    daemon.add(*PORT)
    found = rules(daemon, 'vm1')
    check_equal(chain(daemon, 'port/vm1'),
                ['ether saddr 02:00:00:00:00:01 goto guest/vm1',
                 'ether saddr != 02:00:00:00:00:01 goto drop/mac', 'accept'], 'rules')
    check_equal(found[:8], ['@ll,96,16 0x8100 goto drop/vlan',
                            '@ll,96,16 0x88a8 goto drop/vlan', *OWN_OPTIONS,
                            'meta protocol ip udp dport 67 @th,288,48 != 0x020000000001 '
                            'goto drop/dhcp', 'jump common', 'ip saddr 10.1.0.7 accept'],
                'rules')
    probe = 'ip6 saddr :: icmpv6 type nd-neighbor-solicit'
    advert = 'icmpv6 type nd-neighbor-advert'
    source = f'meta protocol ip6 @nh,64,64 {LOCAL} @nh,64,128'
    kept = '@local/vm1'
    check_equal(found[-16:],
                [f'{source} {HOST_NUMBER} goto drop/ipv6',
                 f'{source} != {OWN_LOCAL} @nh,64,128 @guests goto drop/ipv6',
                 f'{advert} @th,64,128 {HOST_NUMBER} goto drop/ndp',
                 f'{probe} @th,64,128 {HOST_NUMBER} goto drop/ipv6',
                 f'{advert} @th,64,128 != {OWN_LOCAL} @th,64,128 @guests goto drop/ndp',
                 f'{probe} @th,64,128 != {OWN_LOCAL} @th,64,128 @guests goto drop/ipv6',
                 f'{probe} @th,64,128 {OWN_LOCAL} accept',
                 f'{source} != {OWN_LOCAL} update {kept} {{ @nh,64,128 }}',
                 f'{advert} @th,64,64 {LOCAL} @th,64,128 != {OWN_LOCAL} '
                 f'@th,64,128 != {kept} goto drop/ndp',
                 f'{probe} @th,64,64 {LOCAL} update {kept} {{ @th,64,128 }} accept',
                 f'{advert} @th,64,64 != {LOCAL} @th,64,128 != {GLOBAL} goto drop/ndp',
                 'ip6 saddr fd00:1::7 accept', f'{probe} @th,64,128 {GLOBAL} accept',
                 'ip6 saddr fe80::ff:fe00:1 accept', f'@nh,64,128 {kept} accept',
                 'meta protocol ip6 goto drop/ipv6'], 'rules for IPv6')
    check_contains(';'.join(found), 'arp saddr ip 10.1.0.7 accept')
    # The host's address is one of its interface, which may change.
    daemon.kernel('mac vm1 020000000002')
    other = HOST_NUMBER.replace('020000fffe000000', '000000fffe000002')
    wait_for(lambda: f'{advert} @th,64,128 {other} goto drop/ndp' in rules(daemon, 'vm1'),
             "the host's other address")
    # One of the families
    add_network(daemon, 'red', '--ipv6', 'fd00:2::/64')
    daemon.add('vm2', '--network', 'red')
    check_equal([rule for rule in rules(daemon, 'vm2') if 'ip saddr' in rule or 'arp ' in rule],
                ['meta protocol arp goto drop/arp'], 'rules for IPv4')
    daemon.ctl('del', 'vm1')
    check_equal(rules(daemon, 'vm1'), None, 'rules of a port that is deleted')


def test_filter_without_network(daemon):
    """filter: a port in no network has one, of its MAC address"""
    daemon.start()
    daemon.add('vm1', '--mac', '02:00:00:00:00:01')
    check_equal(chain(daemon, 'port/vm1')[1], 'ether saddr != 02:00:00:00:00:01 goto drop/mac',
                'rules')
    found = rules(daemon, 'vm1')
    check_equal(found,
                ['@ll,96,16 0x8100 goto drop/vlan', '@ll,96,16 0x88a8 goto drop/vlan',
                 *OWN_OPTIONS,
                 'meta protocol ip udp dport 67 @th,288,48 != 0x020000000001 goto drop/dhcp',
                 'jump anywhere',
                 'arp htype 1 arp hlen 6 arp plen 4 arp saddr ether 02:00:00:00:00:01 accept',
                 'meta protocol arp goto drop/arp', 'accept'], 'rules')
    check_contains(';'.join(chain(daemon, 'anywhere')), '01:80:c2:00:00:00', 'jump servers')
    check_contains(';'.join(chain(daemon, 'servers')), 'nd-router-advert', 'frag-off',
                   '@th,64,8 { 12, 13 } goto drop/dhcp', 'jump first')
    check_equal(chain(daemon, 'first'), ['@th,0,8 >= 0 return', 'goto drop/other'],
                'rules for first fragments')
    check_equal(daemon.show('vm1')['filtered_out']['mac'], 0, 'counter')
    daemon.add('vm2', '--allow', 'vlan')
    check_contains(';'.join(rules(daemon, 'vm2')), '@ll,96,16 0x8100 accept')
    daemon.add('vm3', '--allow', 'all')
    check_equal(rules(daemon, 'vm3'), None, 'rules of a port that may send all')
    check_equal(daemon.show('vm3')['filtered_out'], None, 'counters of such a port')
    daemon.fails_with(['add', 'vm4', '--allow', 'link-local'], 'without a network', '--network')
    daemon.stop()
    daemon.start()
    check_equal(rules(daemon, 'vm1'), found, 'rules after a restart')
    check_contains(';'.join(rules(daemon, 'vm2')), '@ll,96,16 0x8100 accept')
    check_equal(rules(daemon, 'vm3'), None, 'rules of a port that may send all')
    check_equal(daemon.show('vm3')['allow'], ['all'], 'what is allowed')
    daemon.ctl('del', 'vm1')
    check_equal(rules(daemon, 'vm1'), None, 'rules of a port that is deleted')


def test_filter_counts(daemon):
    """filter: what it drops is shown"""
    start(daemon)
    daemon.add(*PORT)
    daemon.add('vm2', '--network', 'blue')
    reasons = ['mac', 'vlan', 'arp', 'ipv4', 'ipv6', 'ndp', 'dhcp', 'ra', 'other']
    check_equal(daemon.show('vm1')['filtered_out'], dict.fromkeys(reasons, 0), 'counters')
    check_contains(daemon.ctl('show', 'vm1').stdout, 'filtered out:  nothing\n')
    daemon.kernel('count 100')
    for ports in [daemon.show('vm1'), daemon.show('vm2')], \
            json.loads(daemon.ctl('show', '--json').stdout):
        check_equal([list(port['filtered_out'].values()) for port in ports],
                    [list(range(100, 109)), list(range(109, 118))], 'counters')
    check_contains(daemon.ctl('show', 'vm1').stdout,
                   'filtered out:  mac 100, vlan 101, arp 102, ', ', ra 107, other 108\n')
    # Also after another port is deleted, with its filter
    daemon.ctl('del', 'vm2')
    daemon.kernel('count 200')
    check_equal(daemon.show('vm1')['filtered_out']['mac'], 200, 'counter after a deletion')
    daemon.kernel('count 0')
    # In no network, and without a filter
    daemon.add('vm3')
    check_contains(daemon.ctl('show', 'vm3').stdout, 'filtered out:  nothing\n')
    daemon.add('vm4', '--allow', 'all')
    shown = daemon.ctl('show', 'vm4').stdout
    check_contains(shown, 'allowed:       all\n')
    check_equal('filtered' in shown, False, 'filtered out')


def test_allowed(daemon):
    """filter: what it does not mind can be chosen"""
    start(daemon)
    daemon.add(*PORT, '--allow', 'vlan', '--allow', 'link-local')
    check_equal(daemon.show('vm1')['allow'], ['vlan', 'link-local'], 'what is allowed')
    found = rules(daemon, 'vm1')
    check_equal(found[:4], [f'@ll,96,16 {tag} {fate}' for tag in ('0x8100', '0x88a8')
                            for fate in ('@ll,116,12 0 goto drop/vlan', 'accept')],
                'rules of tags')
    check_contains(';'.join(found), 'ip6 saddr fe80::/64 accept')
    daemon.stop()
    daemon.start()
    check_equal(rules(daemon, 'vm1'), found, 'rules after a restart')
    daemon.ctl('del', 'vm1')
    daemon.add(*PORT, '--allow', 'all')
    check_equal(rules(daemon, 'vm1'), None, 'rules of a port that may send all')
    check_contains(daemon.ctl('show', 'vm1').stdout, 'allowed:       all')
    daemon.fails_with(['add', 'vm2', '--network', 'blue', '--allow', 'tags'],
                      "'tags' cannot be allowed", 'all, vlan or link-local')
    daemon.fails_with(['network', 'add', 'red', '--allow', 'vlan'], '--allow', status=2)
    check_contains(daemon.request(b'{"command":"add","name":"vm2","network":"blue",'
                                  b'"allow":"vlan"}\n').decode(), 'must be a list')


def test_filter_comes_back(daemon):
    """filter: it is there whenever the interface is"""
    start(daemon)
    daemon.add(*PORT)
    found = rules(daemon, 'vm1')
    daemon.kernel('unlink vm1')
    daemon.kernel('link vm1 pveth 1')
    wait_for(lambda: chain(daemon, 'port/vm1'), 'the filter of a new interface')
    check_equal(rules(daemon, 'vm1'), found, 'filter')
    daemon.kernel('flush port/vm1')
    wait_for(lambda: rules(daemon, 'vm1') == found, 'the filter after a flush')
    # What ports share is made again first.
    common = chain(daemon, 'common')
    daemon.kernel('flush common')
    daemon.kernel('flush port/vm1')
    wait_for(lambda: rules(daemon, 'vm1') == found, 'the filter after a flush of all')
    check_equal(chain(daemon, 'common'), common, 'what ports share')
    daemon.kernel('lose port/vm1')
    wait_for(lambda: rules(daemon, 'vm1') == found, 'the filter when reports were lost')
    # What is there is not set again: that may be what was too much to report.
    daemon.kernel('fail nft 12')
    daemon.kernel('lose port/vm9')
    check_equal(daemon.show('vm1')['problem'], None, 'problem')
    daemon.kernel('fail nft 0')
    # It has the same number as before, but not the filter.
    daemon.kernel('away vm1')
    wait_for(lambda: chain(daemon, 'port/vm1'), 'the filter of an interface that was away')
    daemon.kernel('unlink vm1')
    daemon.kernel('flush port/vm1')
    daemon.kernel('link vm1 pveth 1')
    wait_for(lambda: rules(daemon, 'vm1') == found, 'the filter of another interface')
    daemon.kill()
    daemon.start()
    check_equal(rules(daemon, 'vm1'), found, 'the filter after a restart')
    # Without it no guest gets the port.
    daemon.kernel('fail nft 12')
    daemon.kernel('flush port/vm1')
    check_contains(wait_for(lambda: daemon.show('vm1')['problem'], 'a problem'),
                   'cannot filter what the guest sends', 'the test says so')
    qemu = Qemu(daemon.show('vm1'))
    wait_for(lambda: daemon.show('vm1')['clients'], 'a client')
    check_equal(daemon.show('vm1')['state'], 'detached', 'state')
    daemon.kernel('fail nft 0')
    qemu.hello(2)
    check_equal(rules(daemon, 'vm1'), found, 'the filter')
    wait_for(lambda: daemon.show('vm1')['problem'] is None, 'no problem')
    check_equal(daemon.log().count('vm1: cannot filter'), 1, 'complaints')
    qemu.close()


def test_no_filter_no_port(daemon):
    """filter: a port that cannot have one is not made"""
    daemon.start()
    # A network without an uplink needs no nftables.
    daemon.kernel('fail nft 12')
    add_network(daemon, 'blue', '--ipv4', '10.1.0.0/24')
    before = show_network(daemon, 'blue')
    daemon.fails_with(['add', 'vm1', '--network', 'blue'], 'cannot filter what the guest sends')
    check_equal(daemon.kernel('show vm1'), 'none', 'interface')
    check_equal(show_network(daemon, 'blue'), before, 'network')
    daemon.add('vm2', '--allow', 'all')
    daemon.kernel('fail nft 0')
    daemon.add('vm1', '--network', 'blue')
