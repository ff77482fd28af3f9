#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Send frames that a guest may send, or such as it may not.

usage: spoof.py network|bridge INTERFACE MAC IPV4 IPV6 HOST-MAC HOST-IPV4 HOST-IPV6 OTHER-MAC

The guest's port is in a network of pvethd, or in a bridge whose addresses nobody told it.
The addresses are the guest's own, its host's, and another guest's. Prints for each frame,
in the order in which they are sent, what is to become of it: the name of the filter's
counter that it counts for, or "passes", and what it is.
"""
import socket
import sys

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DHCP6_RelayForward, DHCP6_Reply, DHCP6_Solicit
from scapy.layers.inet import IP, UDP, ICMP, IPOption_Router_Alert
from scapy.layers.inet6 import (IPv6, ICMPv6EchoRequest, ICMPv6MLQuery2, ICMPv6MLReport2,
                                ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6ND_Redirect,
                                ICMPv6NDOptDstLLAddr, ICMPv6NDOptPrefixInfo, ICMPv6NDOptSrcLLAddr,
                                ICMPv6NDOptUnknown, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrHopByHop)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether, LLC, SNAP
from scapy.packet import Raw

BROADCAST = 'ff:ff:ff:ff:ff:ff'
ALL_NODES = '33:33:00:00:00:01'


def link_local(mac):
    """The address that RFC 4291 makes of a MAC address."""
    octets = [int(octet, 16) for octet in mac.split(':')]
    octets[0] ^= 2
    octets[3:3] = [0xff, 0xfe]
    groups = [f'{octets[i] << 8 | octets[i + 1]:x}' for i in range(0, 8, 2)]
    return 'fe80::' + ':'.join(groups)


def neighbour(address, step):
    """Another address of the same network."""
    head, separator, last = address.rpartition(':' if ':' in address else '.')
    if separator == ':':
        return f'{head}:{int(last or "0", 16) ^ step:x}'
    return f'{head}.{int(last) ^ step}'


def frames(mac, ipv4, ipv6, host_mac, host_ipv4, host_ipv6, other_mac):
    """What becomes of it, what it is, and the frame."""
    local = link_local(mac)
    guessed = 'fe80::c3a5:c85c:97cb:3127'
    unicast = Ether(src=mac, dst=host_mac)
    multicast = Ether(src=mac, dst=ALL_NODES)
    broadcast = Ether(src=mac, dst=BROADCAST)
    arp = {'hwsrc': mac, 'hwdst': host_mac, 'pdst': host_ipv4}

    def echo(source):
        if ':' in source:
            return unicast / IPv6(src=source, dst=host_ipv6) / ICMPv6EchoRequest()
        return unicast / IP(src=source, dst=host_ipv4) / ICMP()

    client = IP(src='0.0.0.0', dst='255.255.255.255') / UDP(sport=68, dport=67)

    def request(client_mac=mac, **fields):
        return BOOTP(chaddr=bytes.fromhex(client_mac.replace(':', '')), **fields) / \
            DHCP(options=[('message-type', 'discover'), 'end'])

    def nobody(*layers, **fields):
        packet = multicast / IPv6(src='::', **fields)
        for layer in layers:
            packet /= layer
        return packet

    def fragment(header, offset, data):
        return unicast / IPv6(src=ipv6, dst=host_ipv6) / \
            IPv6ExtHdrFragment(nh=header, offset=offset, m=1, id=4711) / data

    # RFC 7527
    nonce = ICMPv6NDOptUnknown(type=14, data=bytes(6))
    advertisement = multicast / IPv6(src=ipv6, dst='ff02::1') / ICMPv6ND_NA(tgt=ipv6)
    solicitation = multicast / IPv6(src=ipv6, dst='ff02::1:ff00:1') / ICMPv6ND_NS(tgt=host_ipv6)
    router_solicitation = multicast / IPv6(src=local, dst='ff02::2') / ICMPv6ND_RS()
    ra = ICMPv6ND_RA() / ICMPv6NDOptSrcLLAddr(lladdr=mac) / \
        ICMPv6NDOptPrefixInfo(prefix='2001:db8::', prefixlen=64)
    return [
        ('passes', 'IPv4 from its own address', echo(ipv4)),
        ('passes', 'IPv6 from its own address', echo(ipv6)),
        ('passes', 'IPv6 from its link-local address', echo(local)),
        ('passes', 'IPv6 from a link-local address that nobody could guess',
         echo(guessed)),
        ('passes', 'a request by ARP', broadcast / ARP(psrc=ipv4, **arp)),
        ('passes', 'an answer by ARP', unicast / ARP(op=2, psrc=ipv4, **arp)),
        ('passes', 'a probe of its own address',
         broadcast / ARP(psrc='0.0.0.0', **dict(arp, pdst=ipv4))),
        ('passes', 'a DHCP client', broadcast / client / request()),
        ('passes', 'a report of groups in IPv4',
         Ether(src=mac, dst='01:00:5e:00:00:16') /
         IP(src='0.0.0.0', dst='224.0.0.22', proto=2, ttl=1,
            options=[IPOption_Router_Alert()]) / Raw(b'\x22\0\xdd\xff\0\0\0\0')),
        ('passes', 'a solicitation of routers', nobody(ICMPv6ND_RS(), dst='ff02::2')),
        ('passes', 'is its own address a duplicate?',
         nobody(ICMPv6ND_NS(tgt=ipv6), dst='ff02::1:ff00:1')),
        ('passes', 'is its own link-local address a duplicate?',
         nobody(ICMPv6ND_NS(tgt=local), dst='ff02::1:ff00:1')),
        ('passes', 'a report of groups in IPv6',
         nobody(IPv6ExtHdrHopByHop(), ICMPv6MLReport2(), dst='ff02::16')),
        ('passes', 'with a nonce, is its own address a duplicate?',
         nobody(ICMPv6ND_NS(tgt=ipv6), nonce, dst='ff02::1:ff00:1')),
        ('passes', 'an advertisement of its address', advertisement),
        ('passes', 'an advertisement of its MAC address',
         advertisement / ICMPv6NDOptDstLLAddr(lladdr=mac)),
        ('passes', 'a solicitation from its MAC address',
         solicitation / ICMPv6NDOptSrcLLAddr(lladdr=mac)),
        ('passes', 'a solicitation of routers from its MAC address',
         router_solicitation / ICMPv6NDOptSrcLLAddr(lladdr=mac)),
        ('passes', 'an advertisement of a link-local address that nobody could guess',
         multicast / IPv6(src=guessed, dst='ff02::1') / ICMPv6ND_NA(tgt=guessed)),
        ('passes', 'is the link-local address that nobody could guess a duplicate?',
         nobody(ICMPv6ND_NS(tgt=guessed), dst='ff02::1:ff00:1')),
        ('passes', 'a DHCPv6 client', multicast / IPv6(src=local, dst='ff02::1:2') /
         UDP(sport=546, dport=547) / DHCP6_Solicit()),
        ('passes', 'the beginning of a datagram', fragment(17, 0, UDP(sport=1, dport=2, len=24))),
        ('passes', 'the end of a datagram', fragment(17, 2, Raw(bytes(8)))),

        ('mac', "another's MAC address",
         Ether(src=other_mac, dst=host_mac) / IP(src=ipv4, dst=host_ipv4) / ICMP()),
        ('mac', "the host's MAC address", Ether(src=host_mac, dst=BROADCAST) /
         ARP(psrc=ipv4, **dict(arp, hwsrc=host_mac))),
        ('vlan', 'a tag', unicast / Dot1Q(vlan=5) / IP(src=ipv4, dst=host_ipv4) / ICMP()),
        ('vlan', 'a tag of priority', unicast / Dot1Q(vlan=0) / ARP(psrc=ipv4, **arp)),
        ('vlan', 'an outer tag', unicast / Dot1AD(vlan=5) / Dot1Q(vlan=6) /
         IP(src=ipv4, dst=host_ipv4) / ICMP()),
        ('arp', "another's address in ARP",
         broadcast / ARP(psrc=neighbour(ipv4, 1), **arp)),
        ('arp', "the host's address in ARP",
         unicast / ARP(op=2, psrc=host_ipv4, **arp)),
        ('arp', "another's MAC address in ARP",
         unicast / ARP(op=2, psrc=ipv4, **dict(arp, hwsrc=other_mac))),
        ('arp', "a probe of another's address",
         broadcast / ARP(psrc='0.0.0.0', **dict(arp, pdst=neighbour(ipv4, 1)))),
        ('arp', 'ARP of another kind', unicast / ARP(hwtype=6, psrc=ipv4, **arp)),
        ('ipv4', "another's IPv4 address", echo(neighbour(ipv4, 1))),
        ('ipv4', "the host's IPv4 address", echo(host_ipv4)),
        ('ipv4', 'no IPv4 address', echo('0.0.0.0')),
        ('ipv4', 'a broadcast address', echo('255.255.255.255')),
        ('ipv4', 'the loopback address', echo('127.0.0.1')),
        ('ipv6', "another's IPv6 address", echo(neighbour(ipv6, 1))),
        ('ipv6', "the host's IPv6 address", echo(host_ipv6)),
        ('ipv6', "another's link-local address", echo(link_local(other_mac))),
        ('ipv6', 'one link-local address more', echo('fe80::b492:b66f:be98:f273')),
        ('ipv6', "the host's link-local address", echo(link_local(host_mac))),
        ('ipv6', 'no IPv6 address', echo('::')),
        ('ipv6', "is another's address a duplicate?",
         nobody(ICMPv6ND_NS(tgt=neighbour(ipv6, 1)), dst='ff02::1:ff00:1')),
        ('ndp', "an advertisement of another's address",
         multicast / IPv6(src=ipv6, dst='ff02::1') / ICMPv6ND_NA(tgt=neighbour(ipv6, 1))),
        ('ipv6', "is the host's link-local address a duplicate?",
         nobody(ICMPv6ND_NS(tgt=link_local(host_mac)), dst='ff02::1:ff00:1')),
        ('ndp', "an advertisement of another's MAC address",
         advertisement / ICMPv6NDOptDstLLAddr(lladdr=other_mac)),
        ('ndp', "a solicitation from another's MAC address",
         solicitation / ICMPv6NDOptSrcLLAddr(lladdr=other_mac)),
        ('ndp', "a solicitation of routers from another's MAC address",
         router_solicitation / ICMPv6NDOptSrcLLAddr(lladdr=other_mac)),
        ('ndp', "behind a nonce, an advertisement of another's MAC address",
         advertisement / nonce / ICMPv6NDOptDstLLAddr(lladdr=other_mac)),
        ('ndp', "behind a nonce, a solicitation from another's MAC address",
         solicitation / nonce / ICMPv6NDOptSrcLLAddr(lladdr=other_mac)),
        ('ndp', "behind a nonce, a solicitation of routers from another's MAC address",
         router_solicitation / nonce / ICMPv6NDOptSrcLLAddr(lladdr=other_mac)),
        ('ndp', 'the beginning of an advertisement',
         fragment(58, 0, Raw(bytes(ICMPv6ND_NA(tgt=ipv6))))),
        ('ndp', "an advertisement of the host's link-local address",
         multicast / IPv6(src=local, dst='ff02::1') /
         ICMPv6ND_NA(tgt=link_local(host_mac), R=1, O=1)),
        ('ndp', "an advertisement of another's link-local address",
         multicast / IPv6(src=local, dst='ff02::1') / ICMPv6ND_NA(tgt=link_local(other_mac))),
        ('ndp', 'an advertisement of one link-local address more',
         multicast / IPv6(src=local, dst='ff02::1') /
         ICMPv6ND_NA(tgt='fe80::b492:b66f:be98:f273')),
        ('ipv6', "is another's link-local address a duplicate?",
         nobody(ICMPv6ND_NS(tgt=link_local(other_mac)), dst='ff02::1:ff00:1')),
        ('ipv6', 'is one link-local address more a duplicate?',
         nobody(ICMPv6ND_NS(tgt='fe80::b492:b66f:be98:f273'), dst='ff02::1:ff00:1')),
        ('dhcp', 'a DHCP server', broadcast / IP(src=ipv4, dst='255.255.255.255') /
         UDP(sport=67, dport=68) / BOOTP(op=2) / DHCP(options=[('message-type', 'offer'), 'end'])),
        ('dhcp', 'a DHCP server at another port', unicast / IP(src=ipv4, dst=neighbour(ipv4, 1)) /
         UDP(sport=1234, dport=68) / BOOTP(op=2) / DHCP(options=[('message-type', 'ack'), 'end'])),
        ('dhcp', "a DHCP client with another's MAC address", broadcast / client /
         request(other_mac)),
        ('dhcp', 'the beginning of a DHCP client', broadcast /
         IP(src='0.0.0.0', dst='255.255.255.255', proto=17, flags='MF') /
         Raw(bytes(UDP(sport=68, dport=67, len=300, chksum=0)) + bytes(16))),
        ('dhcp', 'a relay of DHCP', broadcast / client / request(giaddr=neighbour(ipv4, 1))),
        ('dhcp', 'a DHCPv6 server at another port', unicast /
         IPv6(src=ipv6, dst=neighbour(ipv6, 1)) / UDP(sport=1234, dport=546) / DHCP6_Reply()),
        ('dhcp', 'a DHCPv6 server', multicast / IPv6(src=local, dst=link_local(host_mac)) /
         UDP(sport=547, dport=546) / DHCP6_Reply()),
        ('dhcp', 'a relay of DHCPv6', multicast / IPv6(src=local, dst='ff02::1:2') /
         UDP(sport=1234, dport=547) / DHCP6_RelayForward()),
        ('dhcp', 'the beginning of a relay of DHCPv6',
         fragment(17, 0, UDP(sport=1234, dport=547, len=100))),
        ('ra', 'an advertisement of a router', multicast / IPv6(src=local, dst='ff02::1') / ra),
        ('ra', 'one behind another header', multicast /
         IPv6(src=local, dst='ff02::1') / IPv6ExtHdrDestOpt() / ra),
        ('ra', 'a redirect', multicast / IPv6(src=local, dst=host_ipv6) /
         ICMPv6ND_Redirect(tgt=ipv6, dst='2001:db8::1')),
        ('ra', 'a redirect of IPv4', unicast / IP(src=ipv4, dst=host_ipv4) /
         ICMP(type=5, code=1, gw=ipv4) / IP(src=host_ipv4, dst='192.0.2.9') / ICMP()),
        ('ra', 'a query for groups in IPv4', Ether(src=mac, dst='01:00:5e:00:00:01') /
         IP(src=ipv4, dst='224.0.0.1', proto=2, ttl=1, options=[IPOption_Router_Alert()]) /
         Raw(b'\x11\x64\xee\x9b\0\0\0\0')),
        ('ra', 'a query for groups in IPv6', multicast / IPv6(src=local, dst='ff02::1') /
         IPv6ExtHdrHopByHop() / ICMPv6MLQuery2()),
        ('other', 'a fragment that ends before it says what it is of',
         fragment(60, 0, IPv6ExtHdrDestOpt(nh=17))),
        ('other', 'a fragment that ends within another header',
         fragment(60, 0, IPv6ExtHdrDestOpt(nh=17, len=1))),
        ('other', 'RARP', Ether(src=mac, dst=BROADCAST, type=0x8035) /
         ARP(op=3, psrc=ipv4, **arp)),
        ('other', 'a spanning tree', Ether(src=mac, dst='01:80:c2:00:00:00', type=38) /
         LLC(dsap=0x42, ssap=0x42, ctrl=3) / Raw(bytes(35))),
        ('other', 'an old tag of services', Ether(src=mac, dst=host_mac, type=0x9100) /
         Raw(b'\0\5\x08\0') / Raw(bytes(46))),
        ('other', 'a type of its own', Ether(src=mac, dst=host_mac, type=0x88b5) / Raw(bytes(46))),
        ('other', 'a frame of SNAP', Ether(src=mac, dst=host_mac, type=54) / LLC() / SNAP() /
         Raw(bytes(46))),
    ]


# What takes knowing the guest's addresses, and some that does not
OF_ADDRESSES = {'arp', 'ipv4', 'ipv6', 'ndp', 'other'}
BAD_ANYWHERE = {"another's MAC address in ARP", 'ARP of another kind', 'a spanning tree',
                'a frame of SNAP', "an advertisement of another's MAC address",
                "a solicitation from another's MAC address",
                "a solicitation of routers from another's MAC address",
                "behind a nonce, an advertisement of another's MAC address",
                "behind a nonce, a solicitation from another's MAC address",
                "behind a nonce, a solicitation of routers from another's MAC address",
                'the beginning of an advertisement', 'a fragment that ends before it says what it is of',
                'a fragment that ends within another header'}
# What has a counter of its own there
IN_A_BRIDGE = {'an old tag of services': 'vlan'}


def main(place, interface, *addresses):
    """Send them all."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((interface, 0))
        for fate, name, frame in frames(*addresses):
            if place == 'bridge':
                if fate in OF_ADDRESSES and name not in BAD_ANYWHERE:
                    fate = IN_A_BRIDGE.get(name, 'passes')
            sock.send(bytes(frame))
            print(fate, name, sep='\t')


if __name__ == '__main__':
    main(*sys.argv[1:])
