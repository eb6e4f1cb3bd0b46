// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import System
import Tables
import TestSupport
import Testing

@testable import Netlink

/// Routes and neighbours on a real kernel.
@Suite struct RouteTests {
  /// A node with a pair whose ends are both up: `p0` has 192.0.2.1/24 and fd00::1/64.
  private func withPair(
    _ body: (borrowing RouteSocket, LinkIndex, LinkIndex) throws -> Void
  ) throws {
    try inNewNamespace { node in
      let own = try NetworkNamespace.current()
      try node.perform(
        .addVethPair(
          VethPair(
            name: name("p0"), mac: mac("02:00:00:00:00:01"), peerName: name("p1"),
            peerMAC: mac("02:00:00:00:00:02"), peerNamespace: own.fileDescriptor)))
      let first = try #require(try node.link(named: name("p0")))
      let second = try #require(try node.link(named: name("p1")))
      #expect(first.peerIndex == second.index && first.peerNamespaceID == nil)
      try node.perform([
        .changeLink(.index(first.index), LinkChange(up: true)),
        .changeLink(.index(second.index), LinkChange(up: true)),
        .replaceAddress(InterfaceAddress(prefix: prefix("192.0.2.1/24"), index: first.index)),
        .replaceAddress(
          InterfaceAddress(prefix: prefix("fd00::1/64"), index: first.index, skipsDAD: true)),
      ])
      #expect(try node.link(index: first.index)?.isRunning == true)
      try body(node, first.index, second.index)
    }
  }

  @Test func `routes through a tunnel are read back as they were asked for`() throws {
    try inNewNamespace { node in
      let vxlan = VXLAN(port: 4790)
      try node.perform([
        .addVXLAN(name("vx"), vxlan, mtu: 1464),
        .changeLink(.name(name("vx")), LinkChange(withoutLinkLocal: true)),
        .changeLink(.name(name("vx")), LinkChange(up: true)),
      ])
      let link = try #require(try node.link(named: name("vx")))
      #expect(link.kind == "vxlan" && link.vxlan == vxlan && link.mtu == 1464 && link.isUp)
      for (destination, outer, source) in [
        ("10.1.0.0/24", "198.18.0.1", nil), ("10.2.0.0/24", "fd01::1", nil),
        ("fd00:1::/64", "198.18.0.1", "198.18.0.9"), ("fd00:2::/64", "fd01::1", "fd01::9"),
      ] as [(String, String, String?)] {
        let encapsulation = Encapsulation(
          id: 0xabcdef, destination: address(outer), source: source.map { address($0) },
          dontFragment: outer.contains("."))
        let route = Route(
          destination: prefix(destination),
          nextHops: [NextHop(device: link.index, encapsulation: encapsulation)], mtu: 1400)
        try node.perform(.addRoute(route))
        let found = try node.routes(route.destination.family, proto: Route.humanz)
        #expect(found.count == 1 && route.isInstalled(as: found[0]), "\(found)")
        var other = route
        other.nextHops[0].encapsulation?.id = 7
        #expect(!other.isInstalled(as: found[0]))
        other.nextHops[0].encapsulation?.dontFragment = false
        try node.perform(.replaceRoute(other))
        let replaced = try node.routes(route.destination.family, proto: Route.humanz)
        #expect(replaced.count == 1 && other.isInstalled(as: replaced[0]))
        try node.perform(.deleteRoute(other))
        #expect(try node.routes(route.destination.family, proto: Route.humanz) == [])
      }
    }
  }

  @Test func `routes are read back as they were asked for`() throws {
    try withPair { node, index, _ in
      let routes = [
        Route(
          destination: prefix("10.1.0.0/24"), nextHops: [NextHop(gateway: address("192.0.2.2"))]),
        Route(
          destination: prefix("10.2.0.0/24"),
          nextHops: [NextHop(gateway: address("198.51.100.1"), device: index, onLink: true)],
          priority: 5, mtu: 1400, advmss: 1300, source: address("192.0.2.1")),
        Route(
          destination: prefix("10.3.0.0/24"),
          nextHops: [
            NextHop(gateway: address("192.0.2.2"), device: index),
            NextHop(gateway: address("192.0.2.3"), device: index, weight: 3),
          ]),
        Route(
          destination: prefix("10.4.0.0/24"),
          nextHops: [NextHop(gateway: address("fd00::9"), device: index)]),
        Route(destination: prefix("10.5.0.0/24"), nextHops: [NextHop(device: index)]),
        Route(destination: prefix("10.0.0.0/8"), kind: .unreachable),
        Route(destination: prefix("10.9.0.0/16"), kind: .blackhole, proto: 99),
        Route(destination: prefix("10.6.0.0/24"), nextHops: [NextHop(device: index)], table: 1000),
        Route(
          destination: .everything(.v6), nextHops: [NextHop(gateway: address("fd00::9"))],
          mtu: 1400),
        Route(
          destination: prefix("fd01::/64"),
          nextHops: [
            NextHop(gateway: address("fd00::8"), device: index),
            NextHop(gateway: address("fd00::9"), device: index, weight: 2),
          ]),
        Route(destination: prefix("fd00::/16"), kind: .unreachable),
      ]
      try node.perform(routes.map { .addRoute($0) })
      for route in routes {
        let found = try node.routes(
          route.destination.family, proto: route.proto, table: route.table)
        #expect(found.contains { route.isInstalled(as: $0) }, "\(route) in \(found)")
        #expect(throws: NetlinkError.self) { try node.perform(.addRoute(route)) }
      }
      #expect(try node.routes(.v4, proto: Route.humanz).count == 6)
      #expect(try node.routes(.v6, proto: Route.humanz).count == 3)
      #expect(try node.routes(.v4, table: nil).contains { $0.table == 255 })
      #expect(try node.routes(.v4, table: 4711).isEmpty)
      #expect(try node.routes(.v6, table: 4711).isEmpty)

      try node.perform(routes.map { .replaceRoute($0) })
      try node.perform(routes.map { .deleteRoute($0) })
      #expect(try node.routes(.v4, proto: Route.humanz, table: nil).isEmpty)
      #expect(try node.routes(.v6, proto: Route.humanz, table: nil).isEmpty)
    }
  }

  @Test(arguments: RouteComparisonTable.comparisons)
  func `an installed route is compared in what was asked for`(_ row: Case) {
    #expect(row.failure == nil)
  }

  @Test(arguments: RouteComparisonTable.texts)
  func `a route's text has all that is compared`(_ row: Case) {
    #expect(row.failure == nil)
  }

  @Test func `a lookup finds the next hop, or nothing`() throws {
    try withPair { node, index, _ in
      try node.perform([
        .addRoute(
          Route(
            destination: prefix("10.1.0.0/24"), nextHops: [NextHop(gateway: address("192.0.2.2"))])),
        .addRoute(Route(destination: prefix("10.0.0.0/8"), kind: .unreachable)),
        .addRoute(Route(destination: prefix("10.8.0.0/16"), kind: .blackhole)),
        .addRoute(Route(destination: prefix("10.9.0.0/16"), kind: .prohibit)),
        .addRoute(Route(destination: prefix("fd00:8::/32"), kind: .unreachable)),
      ])
      let onLink = try #require(try node.route(to: address("192.0.2.77")))
      #expect(onLink.nextHops == [NextHop(device: index)])
      let remote = try #require(try node.route(to: address("10.1.0.7")))
      #expect(remote.nextHops == [NextHop(gateway: address("192.0.2.2"), device: index)])
      #expect(remote.source == address("192.0.2.1") && remote.table == Route.mainTable)
      #expect(try node.route(to: address("192.0.2.1"))?.kind == .local)
      let sixth = try node.route(to: address("fd00::77"))
      #expect(sixth?.nextHops == [NextHop(device: index)])
      for unreachable in [
        "10.7.7.7", "10.8.1.1", "10.9.1.1", "203.0.113.1", "fd00:8::1", "2001:db8::1",
      ] {
        #expect(try node.route(to: address(unreachable)) == nil, "\(unreachable)")
      }
    }
  }

  @Test func `a thousand routes are made and read`() throws {
    try withPair { node, _, _ in
      let routes = (0..<1000).map {
        Route(
          destination: IPPrefix(IPAddress(.v4, 10 << 24 + UInt128($0) << 8), length: 24),
          nextHops: [NextHop(gateway: address("192.0.2.2"))])
      }
      try node.perform(routes.map { .replaceRoute($0) })
      let found = try node.routes(.v4, proto: Route.humanz)
      #expect(found.count == 1000)
      #expect(zip(routes, found).allSatisfy { $0.isInstalled(as: $1) })
    }
  }

  @Test func `neighbours and forwarding entries come and go`() throws {
    try withPair { node, index, port in
      let neighbours = [
        Neighbour(
          address("192.0.2.7"), index: index, mac: mac("02:00:00:00:00:07"), isPermanent: true),
        Neighbour(address("fd00::7"), index: index, mac: mac("02:00:00:00:00:07")),
      ]
      #expect(
        shell(
          "ip neigh replace 192.0.2.7 lladdr 02:00:00:00:00:07 dev p0 nud permanent;"
            + "ip -6 neigh replace fd00::7 lladdr 02:00:00:00:00:07 dev p0 nud stale") == "")
      let found = try node.neighbours(index: index)
      #expect(neighbours.allSatisfy { found.contains($0) })
      try node.perform(neighbours.map { .deleteNeighbour($0.address, index: index) })
      // The kernel may have learnt other neighbours meanwhile.
      let left = try node.neighbours(index: index)
      #expect(
        !left.contains { one in one.mac != nil && neighbours.contains { $0.address == one.address }
        })

      try node.perform(.addBridge(name("br0")))
      let bridge = try #require(try node.link(named: name("br0"))).index
      try node.perform(.changeLink(.index(port), LinkChange(master: bridge)))
      let entry = ForwardingEntry(
        mac("02:00:00:00:00:08"), index: port, master: bridge, isPermanent: true)
      #expect(shell("bridge fdb replace 02:00:00:00:00:08 dev p1 master permanent") == "")
      #expect(try node.forwardingEntries(bridge: bridge).contains(entry))
      #expect(shell("bridge fdb del 02:00:00:00:00:08 dev p1 master") == "")
      #expect(try node.forwardingEntries(bridge: bridge).contains(entry) == false)
    }
  }

  @Test func `an announced address replaces what a neighbour knew`() throws {
    let pod = try makeNamespace()
    let descriptor = pod.fileDescriptor
    try inNewNamespace { node in
      try node.perform(
        .addVethPair(
          VethPair(
            name: name("veth0"), mac: mac("02:00:00:00:00:01"), peerName: name("eth0"),
            peerMAC: mac("02:00:00:00:00:02"), peerNamespace: descriptor)))
      let inside = try NetworkNamespace(path: "/proc/self/fd/\(descriptor)")
      let podSocket = try inside.openRouteSocket()
      let host = try #require(try node.link(named: name("veth0"))).index
      let peer = try #require(try podSocket.link(named: name("eth0"))).index
      try podSocket.perform(.changeLink(.index(peer), LinkChange(up: true)))
      let old = ["192.0.2.2", "fd00::2"].map {
        Neighbour(address($0), index: host, mac: mac("02:00:00:00:00:99"))
      }
      try node.perform(
        [
          .changeLink(.index(host), LinkChange(up: true)),
          .replaceAddress(InterfaceAddress(prefix: prefix("192.0.2.1/24"), index: host)),
          .replaceAddress(
            InterfaceAddress(prefix: prefix("fd00::1/64"), index: host, skipsDAD: true)),
        ])
      #expect(
        shell(
          "ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:99 dev veth0 nud stale;"
            + "ip -6 neigh replace fd00::2 lladdr 02:00:00:00:00:99 dev veth0 nud stale") == "")
      #expect(try node.neighbours(index: host).filter { $0.mac == old[0].mac }.count == 2)
      // A link drops packets silently until the kernel has noticed its carrier.
      for _ in 0..<200 where try podSocket.link(index: peer)?.isRunning != true { usleep(10_000) }
      try podSocket.perform([
        .changeLink(.index(peer), LinkChange(announces: true)),
        .replaceAddress(InterfaceAddress(prefix: prefix("192.0.2.2/24"), index: peer)),
        .replaceAddress(
          InterfaceAddress(prefix: prefix("fd00::2/64"), index: peer, skipsDAD: true)),
      ])
      try inside.run { () throws(NetlinkError) in
        try Sysctl.write("net/ipv6/conf/eth0/ndisc_notify", "1")
      }
      try podSocket.perform(.changeLink(.index(peer), LinkChange(mac: mac("02:00:00:00:00:02"))))
      // The kernel receives the frames some time later.
      var known: [MACAddress?] = []
      for _ in 0..<200 where known != [mac("02:00:00:00:00:02"), mac("02:00:00:00:00:02")] {
        usleep(10_000)
        let neighbours = try node.neighbours(index: host)
        known = old.map { old in neighbours.first { $0.address == old.address }?.mac }
      }
      #expect(known == [mac("02:00:00:00:00:02"), mac("02:00:00:00:00:02")])
    }
  }
}
