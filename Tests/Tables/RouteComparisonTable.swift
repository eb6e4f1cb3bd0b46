// SPDX-License-Identifier: Apache-2.0
import Addresses
import Netlink

package enum RouteComparisonTable {
  /// Whether the kernel's route is the requested one, with one attribute changed in turn.
  package static let comparisons: [Case] = [
    row("itself", single, is: true) { _ in },
    row("less", single, is: true) {
      ($0.scope, $0.priority, $0.mtu, $0.source) = (nil, nil, nil, nil)
      $0.nextHops[0].device = nil
    },
    row("host bits", single, is: true) { $0.destination = prefix("10.1.0.9/24") },
    row("length", single, is: false) { $0.destination = prefix("10.1.0.0/25") },
    row("kind", single, is: false) { $0.kind = .unreachable },
    row("gateway", single, is: false) { $0.nextHops[0].gateway = address("192.0.2.3") },
    row("no gateway", single, is: false) { $0.nextHops[0].gateway = nil },
    row("device", single, is: false) { $0.nextHops[0].device = 3 },
    row("onlink", single, is: false) { $0.nextHops[0].onLink = true },
    row("weight of one", single, is: true) { $0.nextHops[0].weight = 2 },
    row("more hops", single, is: false) { $0.nextHops.append($0.nextHops[0]) },
    row("no hops", single, is: false) { $0.nextHops = [] },
    row("protocol", single, is: false) { $0.proto = 3 },
    row("table", single, is: false) { $0.table = 100 },
    row("scope", single, is: false) { $0.scope = 253 },
    row("priority", single, is: false) { $0.priority = 8 },
    row("mtu", single, is: false) { $0.mtu = 1300 },
    row("advmss", single, is: false) { $0.advmss = 1300 },
    row("source", single, is: false) { $0.source = address("192.0.2.9") },
    row("several", multipath, is: true) { _ in },
    row("their order", multipath, is: false) { $0.nextHops.reverse() },
    row("weight of several", multipath, is: false) { $0.nextHops[1].weight = 2 },
  ]

  private static let single = Route(
    destination: prefix("10.1.0.0/24"),
    nextHops: [NextHop(gateway: address("192.0.2.2"), device: 2)], scope: 0, priority: 7,
    mtu: 1400, source: address("192.0.2.1"))

  private static let multipath = Route(
    destination: prefix("10.1.0.0/24"),
    nextHops: [
      NextHop(gateway: address("192.0.2.2"), device: 2),
      NextHop(gateway: address("192.0.2.3"), device: 2, weight: 3),
    ])

  private static func row(
    _ title: String, _ route: Route, is isInstalled: Bool,
    _ change: @escaping @Sendable (inout Route) -> Void
  ) -> Case {
    Case(title, is: isInstalled ? "installed" : "another") {
      var asked = route
      change(&asked)
      return asked.isInstalled(as: route) ? "installed" : "another"
    }
  }
}
