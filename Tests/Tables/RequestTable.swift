// SPDX-License-Identifier: Apache-2.0
import Addresses
import Netlink

/// Messages to rtnetlink, compared byte by byte.
package enum RequestTable {
  /// Messages that no command sends, derived by hand from linux/if_link.h, veth.h and rtnetlink.h.
  package static let requests: [Case] = derived.map { (title, request, expected) in
    Case(title, is: hexadecimal(bytes(expected))) { hexadecimal(request.bytes) }
  }

  /// Messages of iproute2, and ours in their place. The order of attributes, NLA_F_NESTED and the NUL after a
  /// string do not matter.
  package static let captured: [Case] = Captured.all.map { captured in
    let theirs = bytes(captured.header + captured.body)
    let familyHeader =
      switch UInt16(theirs[4]) | UInt16(theirs[5]) << 8 {
      case 16, 17, 19: 16  // ifinfomsg
      case 20, 21: 8  // ifaddrmsg
      default: 12  // rtmsg, ndmsg
      }
    @Sendable func comparable(_ message: [UInt8]) -> String {
      ComparableMessage(message, familyHeader: familyHeader, nests: captured.request.bytes)
        .description
    }
    return Case(captured.command, is: comparable(theirs)) {
      comparable(Array(captured.request.bytes))
    }
  }

  private static let derived: [(String, Request, String)] = [
    (
      "a pair is one message with the peer inside",
      .addVethPair(
        VethPair(
          name: name("veth0"), mac: mac("02:00:00:00:00:02"), mtu: 1400, master: 5,
          peerName: name("eth0"), peerMAC: mac("02:00:00:00:00:03"), peerNamespace: 7)),
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
      """
    ),
    (
      "both ends of a pair have the queues that are asked for",
      .addVethPair(
        VethPair(
          name: name("veth0"), mac: mac("02:00:00:00:00:02"), mtu: 1400, queues: 1, master: 5,
          peerName: name("eth0"), peerMAC: mac("02:00:00:00:00:03"), peerNamespace: 7)),
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
      """
    ),
    (
      "links are put into a group one by one",
      .changeLink(.index(3), LinkChange(group: 0x4000_0048)),
      """
      28000000 1000 0100 00000000 00000000
      00000000 03000000 00000000 00000000
      0800 1b00 48000040
      """
    ),
    (
      "the links of a group are deleted all at once",
      .deleteLinks(group: 0x4000_0048),
      """
      28000000 1100 0100 00000000 00000000
      00000000 00000000 00000000 00000000
      0800 1b00 48000040
      """
    ),
    (
      "a bridge's port is changed through the data of the slave kind",
      .changeBridgePort(.index(3), BridgePort(hairpin: true, isolated: true, learning: false)),
      """
      4c000000 1000 0100 00000000 00000000
      00000000 03000000 00000000 00000000
      2c00 1280
        0b00 0400 6272696467650000
        1c00 0580
          0500 0400 01000000
          0500 2100 01000000
          0500 0800 00000000
      """
    ),
    (
      "a link announces its addresses as ARP_NOTIFY of its IPv4 settings has it",
      .changeLink(.index(3), LinkChange(announces: true)),
      """
      34000000 1000 0100 00000000 00000000
      00000000 03000000 00000000 00000000
      1400 1a80
        1000 0280
          0c00 0180
            0800 1600 01000000
      """
    ),
    (
      "a link's settings of both families are in one IFLA_AF_SPEC",
      .changeLink(.index(3), LinkChange(withoutLinkLocal: true, announces: true)),
      """
      40000000 1000 0100 00000000 00000000
      00000000 03000000 00000000 00000000
      2000 1a80
        0c00 0a80
          0500 0800 01000000
        1000 0280
          0c00 0180
            0800 1600 01000000
      """
    ),
    (
      "a link is named by IFLA_IFNAME where its index is not known",
      .deleteLink(.name(name("veth0"))),
      """
      2c000000 1100 0100 00000000 00000000
      00000000 00000000 00000000 00000000
      0a00 0300 7665746830000000
      """
    ),
    (
      "a new route is refused where there is one",
      .addRoute(
        Route(
          destination: prefix("10.2.0.0/24"), nextHops: [NextHop(gateway: address("192.0.2.2"))])),
      """
      2c000000 1800 0106 00000000 00000000
      02180000 fe480001 00000000
      0800 0100 0a020000
      0800 0500 c0000202
      """
    ),
    (
      "a deleted route is told from others by protocol, table and next hop",
      .deleteRoute(
        Route(
          destination: prefix("10.2.0.0/24"), nextHops: [NextHop(gateway: address("192.0.2.2"))],
          mtu: 1400)),
      """
      2c000000 1900 0100 00000000 00000000
      02180000 fe48ff01 00000000
      0800 0100 0a020000
      0800 0500 c0000202
      """
    ),
    (
      "a deleted neighbour is named by address and link",
      .deleteNeighbour(address("192.0.2.7"), index: 2),
      """
      24000000 1d00 0100 00000000 00000000
      02000000 02000000 00000000
      0800 0100 c0000207
      """
    ),
  ]
}
