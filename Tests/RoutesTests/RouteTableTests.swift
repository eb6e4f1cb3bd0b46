// SPDX-License-Identifier: Apache-2.0
import Addresses
import Netlink
import TestSupport
import Testing

@testable import Routes

/// Looking up an address or a prefix in a node's routes.
@Suite struct RouteTableTests {
  private let lan = LinkIndex(2)
  private let bridge = LinkIndex(3)

  private var table: RouteTable {
    func route(
      _ destination: String, _ device: LinkIndex, via gateway: String? = nil, kernel: Bool = false,
      metric: UInt32? = nil
    ) -> Route {
      Route(
        destination: prefix(destination),
        nextHops: [NextHop(gateway: gateway.map { address($0) }, device: device)],
        proto: kernel ? Route.kernel : Route.humanz, priority: metric)
    }
    return RouteTable([
      route("0.0.0.0/0", lan, via: "192.168.0.254"),
      route("192.168.0.0/16", lan, kernel: true),
      route("192.168.7.0/24", lan, via: "192.168.0.7"),
      route("10.244.1.0/24", bridge, kernel: true),
      route("10.244.1.0/24", lan, via: "192.168.0.9", metric: 500),
      Route(destination: prefix("10.244.0.0/16"), kind: .unreachable),
      route("fd00::/64", lan, kernel: true),
    ])
  }

  @Test func `an address is on the link that the longest prefix leads to`() {
    #expect(table.link(of: address("192.168.0.2"), over: nil) == lan)
    #expect(table.link(of: address("192.168.7.2"), over: nil) == nil)
    #expect(table.link(of: address("198.51.100.1"), over: nil) == nil)
    #expect(table.link(of: address("10.244.1.9"), over: nil) == bridge)
    #expect(table.link(of: address("10.244.9.9"), over: nil) == nil)
    #expect(table.link(of: address("fd00::9"), over: nil) == lan)
    #expect(table.link(of: address("fd01::9"), over: nil) == nil)
  }

  @Test func `of routes with one destination the lowest metric counts`() {
    #expect(table.link(of: address("10.244.1.9"), over: lan) == nil)
    #expect(table.link(of: address("10.244.1.9"), over: bridge) == bridge)
  }

  @Test func `a prefix of a link is found around a subnet, and not the subnet itself`() {
    #expect(table.linkPrefix(around: prefix("10.244.1.128/25"))?.nextHops.first?.device == bridge)
    #expect(
      table.linkPrefix(around: prefix("10.244.1.0/25"))?.destination == prefix("10.244.1.0/24"))
    #expect(table.linkPrefix(around: prefix("10.244.1.0/24")) == nil)
    #expect(table.linkPrefix(around: prefix("10.244.2.0/24")) == nil)
    #expect(
      table.linkPrefix(around: prefix("192.168.7.0/25"))?.destination == prefix("192.168.0.0/16"))
  }

  @Test func `packets leave by the route of the longest prefix`() {
    #expect(table.outerRoute(to: address("198.51.100.1"))?.destination == prefix("0.0.0.0/0"))
    #expect(table.outerRoute(to: address("10.244.9.9")) == nil)
  }

  @Test(arguments: newSeeds)
  func `any table gives what looking at every route gives`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let routes = (0..<1 + random.below(40)).map { _ in
      let length = [0, 8, 12, 16, 20, 24, 28, 32][random.below(8)]
      let value = UInt128(
        10 << 24 | random.below(4) << 20 | random.below(4) << 12 | random.below(4))
      let hop =
        random.once(in: 3)
        ? NextHop(gateway: address("192.0.2.1"), device: LinkIndex(Int32(random.below(3))))
        : NextHop(device: LinkIndex(Int32(random.below(3))))
      return Route(
        destination: IPPrefix(IPAddress(.v4, value), length: length).network,
        kind: random.once(in: 6) ? .unreachable : .unicast, nextHops: [hop],
        proto: random.once(in: 2) ? Route.kernel : Route.humanz,
        priority: UInt32(random.below(3)))
    }
    let table = RouteTable(routes)
    for _ in 0..<100 {
      let wanted = IPAddress(
        .v4, UInt128(10 << 24 | random.below(5) << 20 | random.below(5) << 12 | random.below(5)))
      let device = random.once(in: 2) ? nil : LinkIndex(Int32(random.below(3)))
      let around = routes.filter { route in
        route.destination.contains(wanted)
          && (device == nil || route.nextHops.contains { $0.device == device })
      }
      let longest = around.map { $0.destination.length }.max()
      let best = around.filter { $0.destination.length == longest }
      let lowest = best.map { $0.metric }.min()
      // Of equal routes any may be found.
      let possible = best.filter { $0.metric == lowest }.map { route -> LinkIndex? in
        let isLink = route.kind == .unicast && route.nextHops.allSatisfy { $0.gateway == nil }
        return isLink ? device ?? route.nextHops.first?.device : nil
      }
      let found = table.link(of: wanted, over: device)
      #expect(
        possible.isEmpty ? found == nil : possible.contains(found),
        "seed \(seed), \(wanted) over \(text(device))")

      let subnet = IPPrefix(wanted, length: 9 + random.below(24)).network
      let own = routes.filter { route in
        route.proto == Route.kernel && route.link != nil
          && route.destination.length < subnet.length && route.destination.contains(subnet)
      }
      let nearest = own.filter { route in
        !own.contains { $0.destination.length > route.destination.length }
      }
      let first = nearest.filter { route in !nearest.contains { $0.metric < route.metric } }
      let prefix = table.linkPrefix(around: subnet)
      #expect(
        prefix.map { first.contains($0) } ?? first.isEmpty, "seed \(seed), around \(subnet)")
    }
  }

  private func text(_ device: LinkIndex?) -> String { device.map { "\($0)" } ?? "any" }
}
