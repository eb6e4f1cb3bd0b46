// SPDX-License-Identifier: Apache-2.0
import Addresses
import Netlink

/// A message that iproute2 6.1 sent, from `strace -xx`, and our request that must be equivalent. The sequence
/// number and NLM_F_ACK belong to the socket and are left out. Links 2 and 3 are `p1` and `p0`, a pair; link 4
/// is `br9`, a bridge.
struct Captured: Sendable {
  let command: String
  let header: String
  let body: String
  let request: Request

  init(_ command: String, _ header: String, _ body: String, _ request: Request) {
    self.command = command
    self.header = header
    self.body = body
    self.request = request
  }

  static let all = [
    Captured(
      "ip link add name cni0 address 02:00:00:00:00:01 mtu 1400 type bridge",
      "50000000100001060000000000000000",
      """
      00000000 00000000 00000000 00000000 0a000100 02000000 00010000 08000400
      78050000 09000300 636e6930 00000000 10001200 0a000100 62726964 67650000
      """,
      .addBridge(name("cni0"), mac: mac("02:00:00:00:00:01"), mtu: 1400)),
    Captured(
      "ip link set dev p0 up alias abc",
      "28000000100001000000000000000000",
      """
      00000000 03000000 01000000 01000000 07001400 61626300
      """,
      .changeLink(.index(3), LinkChange(up: true, alias: "abc"))),
    Captured(
      "ip address replace 10.1.2.3/24 broadcast + dev p1",
      "30000000140001050000000000000000",
      """
      02180000 02000000 08000200 0a010203 08000100 0a010203 08000400 0a0102ff
      """,
      .replaceAddress(InterfaceAddress(prefix: prefix("10.1.2.3/24"), index: 2))),
    Captured(
      "ip address replace 10.1.2.4/31 dev p1",
      "28000000140001050000000000000000",
      """
      021f0000 02000000 08000200 0a010204 08000100 0a010204
      """,
      .replaceAddress(InterfaceAddress(prefix: prefix("10.1.2.4/31"), index: 2))),
    Captured(
      "ip address del 10.1.2.4/31 dev p1",
      "28000000150001000000000000000000",
      """
      021f0000 02000000 08000200 0a010204 08000100 0a010204
      """,
      .deleteAddress(InterfaceAddress(prefix: prefix("10.1.2.4/31"), index: 2))),
    Captured(
      "ip route replace 10.2.0.0/24 via 192.0.2.2 proto 72",
      "2c000000180001050000000000000000",
      """
      02180000 fe480001 00000000 08000100 0a020000 08000500 c0000202
      """,
      .replaceRoute(
        Route(
          destination: prefix("10.2.0.0/24"), nextHops: [NextHop(gateway: address("192.0.2.2"))]))),
    Captured(
      "ip route replace 10.2.1.0/24 proto 72 mtu 1400 advmss 1300 metric 5 table 1000 src 192.0.2.1 via 192.0.2.2 dev p1 onlink",
      "60000000180001050000000000000000",
      """
      02180000 00480001 04000000 08000100 0a020100 08000600 05000000 08000f00
      e8030000 08000700 c0000201 08000500 c0000202 08000400 02000000 14000800
      08000200 78050000 08000800 14050000
      """,
      .replaceRoute(
        Route(
          destination: prefix("10.2.1.0/24"),
          nextHops: [NextHop(gateway: address("192.0.2.2"), device: 2, onLink: true)], table: 1000,
          priority: 5, mtu: 1400, advmss: 1300, source: address("192.0.2.1")))),
    Captured(
      "ip route replace unreachable 10.0.0.0/8 proto 72",
      "24000000180001050000000000000000",
      """
      02080000 fe480007 00000000 08000100 0a000000
      """,
      .replaceRoute(Route(destination: prefix("10.0.0.0/8"), kind: .unreachable))),
    Captured(
      "ip route replace default dev p1 proto 72",
      "24000000180001050000000000000000",
      """
      02000000 fe48fd01 00000000 08000400 02000000
      """,
      .replaceRoute(Route(destination: .everything(.v4), nextHops: [NextHop(device: 2)]))),
    Captured(
      "ip route replace 10.3.0.0/24 proto 72 nexthop via 192.0.2.2 dev p1 weight 1 nexthop via 192.0.2.3 dev p1 weight 3",
      "48000000180001050000000000000000",
      """
      02180000 fe480001 00000000 08000100 0a030000 24000900 10000000 02000000
      08000500 c0000202 10000002 02000000 08000500 c0000203
      """,
      .replaceRoute(
        Route(
          destination: prefix("10.3.0.0/24"),
          nextHops: [
            NextHop(gateway: address("192.0.2.2"), device: 2),
            NextHop(gateway: address("192.0.2.3"), device: 2, weight: 3),
          ]))),
    Captured(
      "ip -6 route replace fd00:2::/64 via fd00::9 proto 72",
      "44000000180001050000000000000000",
      """
      0a400000 fe480001 00000000 14000100 fd000002 00000000 00000000 00000000
      14000500 fd000000 00000000 00000000 00000009
      """,
      .replaceRoute(
        Route(destination: prefix("fd00:2::/64"), nextHops: [NextHop(gateway: address("fd00::9"))]))
    ),
    Captured(
      "ip route replace 10.4.0.0/24 via inet6 fd00::9 dev p1 proto 72",
      "44000000180001050000000000000000",
      """
      02180000 fe480001 00000000 08000100 0a040000 16001200 0a00fd00 00000000
      00000000 00000000 00090000 08000400 02000000
      """,
      .replaceRoute(
        Route(
          destination: prefix("10.4.0.0/24"),
          nextHops: [NextHop(gateway: address("fd00::9"), device: 2)]))),
    Captured(
      "bridge vlan add dev p0 vid 10-20",
      "34000000130001000000000000000000",
      """
      07000000 03000000 00000000 00000000 14001a00 08000200 08000a00 08000200
      10001400
      """,
      .addBridgeVLAN(3, BridgeVLAN(10...20))),
    Captured(
      "bridge vlan add dev p0 vid 7 pvid untagged",
      "2c000000130001000000000000000000",
      """
      07000000 03000000 00000000 00000000 0c001a00 08000200 06000700
      """,
      .addBridgeVLAN(3, BridgeVLAN(7...7, isPVID: true, isUntagged: true))),
    Captured(
      "bridge vlan del dev br9 vid 10 self",
      "34000000110001000000000000000000",
      """
      07000000 04000000 00000000 00000000 14001a00 06000000 02000000 08000200
      00000a00
      """,
      .deleteBridgeVLAN(4, BridgeVLAN(10...10), onBridge: true)),
    Captured(
      "ip link set dev br9 type bridge vlan_filtering 1",
      "3c000000100001000000000000000000",
      """
      00000000 04000000 00000000 00000000 1c001200 0a000100 62726964 67650000
      0c000200 05000700 01000000
      """,
      .filterVLANs(bridge: .index(4))),
    Captured(
      "ip link add link p1 name p1.100 type vlan id 100",
      "4c000000100001060000000000000000",
      """
      00000000 00000000 00000000 00000000 08000500 02000000 0b000300 70312e31
      30300000 18001200 08000100 766c616e 0c000200 06000100 64000000
      """,
      .addVLAN(name("p1.100"), parent: 2, id: 100)),
    Captured(
      "ip link set dev p1 addrgenmode none",
      "30000000100001000000000000000000",
      """
      00000000 02000000 00000000 00000000 10001a00 0c000a00 05000800 01000000
      """,
      .changeLink(.index(2), LinkChange(withoutLinkLocal: true))),
    Captured(
      "ip link set dev p0 nomaster",
      "28000000100001000000000000000000",
      """
      00000000 03000000 00000000 00000000 08000a00 00000000
      """,
      .changeLink(.index(3), LinkChange(master: 0))),
    Captured(
      "ip link del dev p0",
      "20000000110001000000000000000000",
      """
      00000000 03000000 00000000 00000000
      """,
      .deleteLink(.index(3))),
  ]
}
