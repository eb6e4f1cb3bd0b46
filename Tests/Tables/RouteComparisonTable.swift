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

  /// Routes as text: all that is compared is in it but the protocol.
  package static let texts: [Case] = [
    (
      Route(destination: .everything(.v4), nextHops: [NextHop(gateway: address("192.0.2.1"))]),
      "default via 192.0.2.1"
    ),
    (Route(destination: prefix("10.0.0.0/8"), kind: .unreachable), "unreachable 10.0.0.0/8"),
    (single, "10.1.0.0/24 via 192.0.2.2 dev number 2 src 192.0.2.1 metric 7 mtu 1400"),
    (
      multipath,
      "10.1.0.0/24 via 192.0.2.2 dev number 2 weight 1 via 192.0.2.3 dev number 2 weight 3"
    ),
    (
      Route(
        destination: prefix("10.2.0.0/24"),
        nextHops: [NextHop(gateway: address("198.51.100.1"), device: 3, onLink: true)], scope: 253,
        table: 100, mtu: 1400, advmss: 1360),
      "10.2.0.0/24 via 198.51.100.1 dev number 3 onlink table 100 scope link mtu 1400 advmss 1360"
    ),
    (
      Route(destination: prefix("10.3.0.0/24"), nextHops: [NextHop(device: 3)], scope: 200),
      "10.3.0.0/24 dev number 3 scope 200"
    ),
    (
      Route(destination: prefix("fd00::/64"), nextHops: [NextHop(device: 3)], scope: 253),
      "fd00::/64 dev number 3"
    ),
    (
      Route(
        destination: prefix("10.4.0.0/24"),
        nextHops: [
          NextHop(
            device: 4,
            encapsulation: Encapsulation(
              id: 72, destination: address("198.18.0.1"), dontFragment: true))
        ], source: address("10.9.0.1")),
      "10.4.0.0/24 encap ip id 72 dst 198.18.0.1 df dev number 4 src 10.9.0.1"
    ),
    (
      Route(
        destination: prefix("fd01::/64"),
        nextHops: [
          NextHop(
            device: 4,
            encapsulation: Encapsulation(
              id: 72, destination: address("fd02::1"), source: address("fd02::9")))
        ]),
      "fd01::/64 encap ip6 id 72 src fd02::9 dst fd02::1 dev number 4"
    ),
  ].map { (route: Route, expected: String) in
    Case("the text \(expected)", is: expected) { route.description }
  }

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
