// SPDX-License-Identifier: Apache-2.0
import Addresses
import Netlink
import TestSupport
import Testing

@testable import Routes

/// What leads to an address, found among a node's routes.
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
}
