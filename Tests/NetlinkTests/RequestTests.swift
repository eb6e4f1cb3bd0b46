// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import System
import TestSupport
import Testing

@testable import Netlink

/// Messages that no command sends, derived by hand from linux/if_link.h, veth.h and rtnetlink.h.
@Suite struct RequestTests {
  @Test func `a pair is one message with the peer inside`() {
    let request = Request.addVethPair(
      VethPair(
        name: name("veth0"), mac: mac("02:00:00:00:00:02"), mtu: 1400, master: 5,
        peerName: name("eth0"), peerMAC: mac("02:00:00:00:00:03"), peerNamespace: 7))
    #expect(
      Array(request.bytes)
        == bytes(
          """
          98000000 1000 0106 00000000 00000000
          00000000 00000000 00000000 00000000
          0a00 0300 7665746830000000
          0a00 0100 0200000000020000
          0800 0400 78050000
          0800 0a00 05000000
          5000 1280
            0900 0100 7665746800000000
            4000 0280
              3c00 0180
                00000000 00000000 00000000 00000000
                0900 0300 6574683000000000
                0a00 0100 0200000000030000
                0800 0400 78050000
                0800 1c00 07000000
          """))
  }

  @Test func `both ends of a pair have the queues that are asked for`() {
    let request = Request.addVethPair(
      VethPair(
        name: name("veth0"), mac: mac("02:00:00:00:00:02"), mtu: 1400, queues: 1, master: 5,
        peerName: name("eth0"), peerMAC: mac("02:00:00:00:00:03"), peerNamespace: 7))
    #expect(
      Array(request.bytes)
        == bytes(
          """
          b8000000 1000 0106 00000000 00000000
          00000000 00000000 00000000 00000000
          0a00 0300 7665746830000000
          0a00 0100 0200000000020000
          0800 0400 78050000
          0800 1f00 01000000
          0800 2000 01000000
          0800 0a00 05000000
          6000 1280
            0900 0100 7665746800000000
            5000 0280
              4c00 0180
                00000000 00000000 00000000 00000000
                0900 0300 6574683000000000
                0a00 0100 0200000000030000
                0800 0400 78050000
                0800 1f00 01000000
                0800 2000 01000000
                0800 1c00 07000000
          """))
  }

  @Test func `links are put into a group one by one and deleted all at once`() {
    #expect(
      Array(Request.changeLink(.index(3), LinkChange(group: 0x4000_0048)).bytes)
        == bytes(
          """
          28000000 1000 0100 00000000 00000000
          00000000 03000000 00000000 00000000
          0800 1b00 48000040
          """))
    #expect(
      Array(Request.deleteLinks(group: 0x4000_0048).bytes)
        == bytes(
          """
          28000000 1100 0100 00000000 00000000
          00000000 00000000 00000000 00000000
          0800 1b00 48000040
          """))
  }

  @Test func `a namespace's number is asked for by what is open`() {
    #expect(
      Array(Request.getNamespaceID(7).bytes)
        == bytes(
          """
          1c000000 5a00 0100 00000000 00000000
          00000000
          0800 0300 07000000
          """))
  }

  @Test func `a bridge's port is changed through the data of the slave kind`() {
    let request = Request.changeBridgePort(
      .index(3), BridgePort(hairpin: true, isolated: true, learning: false))
    #expect(
      Array(request.bytes)
        == bytes(
          """
          4c000000 1000 0100 00000000 00000000
          00000000 03000000 00000000 00000000
          2c00 1280
            0b00 0400 6272696467650000
            1c00 0580
              0500 0400 01000000
              0500 2100 01000000
              0500 0800 00000000
          """))
  }

  @Test func `a link announces its addresses as ARP_NOTIFY of its IPv4 settings has it`() {
    #expect(
      Array(Request.changeLink(.index(3), LinkChange(announces: true)).bytes)
        == bytes(
          """
          34000000 1000 0100 00000000 00000000
          00000000 03000000 00000000 00000000
          1400 1a80
            1000 0280
              0c00 0180
                0800 1600 01000000
          """))
  }

  @Test func `a link is named by IFLA_IFNAME where its index is not known`() {
    #expect(
      Array(Request.deleteLink(.name(name("veth0"))).bytes)
        == bytes(
          """
          2c000000 1100 0100 00000000 00000000
          00000000 00000000 00000000 00000000
          0a00 0300 7665746830000000
          """))
  }

  @Test func `a deleted route is told from others by protocol, table and next hop`() {
    let route = Route(
      destination: prefix("10.2.0.0/24"), nextHops: [NextHop(gateway: address("192.0.2.2"))],
      mtu: 1400)
    #expect(
      Array(Request.deleteRoute(route).bytes)
        == bytes(
          """
          2c000000 1900 0100 00000000 00000000
          02180000 fe48ff01 00000000
          0800 0100 0a020000
          0800 0500 c0000202
          """))
  }

  @Test func `what is forgotten is named by address and link`() {
    #expect(
      Array(Request.deleteNeighbour(address("192.0.2.7"), index: 2).bytes)
        == bytes(
          "24000000 1d00 0100 00000000 00000000 02000000 02000000 00000000 0800 0100 c0000207"))
  }

  @Test(arguments: [0, 1, 3, 4, 200, 4000, 60000])
  func `a message grows with its attributes, padded with zeros`(size: Int) {
    var request = Request("try", 16, header: UInt32(0x0102_0304))
    request.nest(1) { outer in
      outer.put(2, [UInt8](repeating: 0xff, count: size))
      outer.nest(3) { $0.put(4, UInt8(5)) }
    }
    let padding = [UInt8](repeating: 0, count: (4 - size % 4) % 4)
    let inner = bytes("0c00 0380 0500 0400 05000000")
    let first =
      withUnsafeBytes(of: UInt16(size + 4)) { Array($0) } + [2, 0]
      + [UInt8](repeating: 0xff, count: size) + padding
    let nest = withUnsafeBytes(of: UInt16(4 + first.count + inner.count)) { Array($0) } + [1, 0x80]
    let length = withUnsafeBytes(of: UInt32(20 + nest.count + first.count + inner.count)) {
      Array($0)
    }
    let header = length + bytes("1000 0100 00000000 00000000 04030201")
    #expect(Array(request.bytes) == header + nest + first + inner)
  }

  @Test func `a multipath route of many hops fits`() {
    let hops = (0..<256).map { NextHop(gateway: IPAddress(.v4, UInt128($0)), weight: $0 + 1) }
    let request = Request.replaceRoute(Route(destination: prefix("10.0.0.0/8"), nextHops: hops))
    #expect(request.bytes.count == 16 + 12 + 8 + 4 + 256 * 16)
    #expect(Array(request.bytes.suffix(16)) == bytes("100000ff00000000 08000500000000ff"))
  }
}
