// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink
import Node
import Routes

/// The routes that a pod must have, and those it has: the result's, the configuration's, and a default
/// route for each family whose address has a gateway.
struct PodRoutes {
  /// The result's routes and the configuration's, which wins where both have the same.
  let result: [ResultRoute]
  /// The same as the kernel has them.
  private let wanted: [Route]
  private let present: [Route]
  private let interface: Link

  init(
    _ configuration: RouteConfiguration, _ result: CNIResult, on interface: Link,
    of pod: borrowing Pod
  ) throws(CNIError) {
    let addresses = result.ips(of: interface.name, sandbox: pod.path)
    var routes = result.routes
    for route in configuration.routes {
      if let index = routes.firstIndex(where: { $0.isSame(as: route) }) {
        routes[index] = route
      } else {
        routes.append(route)
      }
    }
    var defaults: [ResultRoute] = []
    if configuration.defaultRoute {
      for ip in addresses where ip.gateway != nil {
        let route = ResultRoute(.everything(ip.address.family), gateway: ip.gateway)
        if !(routes + defaults).contains(where: { $0.isSame(as: route) }) { defaults.append(route) }
      }
    }
    func kernelRoutes(_ routes: [ResultRoute]) throws(CNIError) -> [Route] {
      try routes.map { (route) throws(CNIError) in
        try Pod.route(route, through: interface, addresses: addresses)
      }
    }
    let asked = try kernelRoutes(routes)
    let present = try pod.routes(besides: asked + kernelRoutes(defaults))
    // A default route that nobody asked for does not replace another interface's.
    defaults = defaults.filter { route in
      !present.contains {
        $0.destination == route.destination && $0.table == Route.mainTable
          && !$0.nextHops.contains { $0.device == interface.index }
      }
    }
    self.result = routes + defaults
    wanted = asked + (try kernelRoutes(defaults))
    self.present = present
    self.interface = interface
  }

  /// Makes those that are not there, each in one step in place of one to the same destination.
  /// Equivalent to: `ip link set … up`, `ip route replace …`.
  func make(in pod: borrowing Pod) throws(CNIError) {
    var batch: [Request] = []
    if !interface.isUp {
      batch.append(.changeLink(.index(interface.index), LinkChange(up: true)))
    }
    for route in missing { batch.append(.replaceRoute(route)) }
    if !batch.isEmpty { try pod.kernel.perform(batch) }
  }

  /// The requests that restore what `make` changes.
  var reverse: [Request] {
    missing.map { route in
      let old = present.first { $0.isSame(as: route) }
      return old.map { .replaceRoute($0) } ?? .deleteRoute(route)
    }
  }

  private var missing: [Route] {
    wanted.filter { route in !present.contains { $0.serves(as: route) } }
  }

  /// CHECK: each route exists, with its next hop and its properties.
  /// - Throws: error 102 naming the one that is missing or another.
  func check(in pod: borrowing Pod) throws(CNIError) {
    for route in missing {
      if let other = present.first(where: { $0.isSame(as: route) }) {
        throw CNIError(
          .checkFailed, "the route to \(route.destination) in \(pod.path) is another",
          details: "it is \(other), not \(route)")
      }
      guard try pod.hasMoved(route) else {
        throw CNIError(
          .checkFailed, "the route to \(route.destination) is missing in \(pod.path)")
      }
    }
  }
}

extension Pod {
  /// The routes of the families and tables of these.
  fileprivate borrowing func routes(besides wanted: [Route]) throws(CNIError) -> [Route] {
    var present: [Route] = []
    var asked: [Route] = []
    for route in wanted
    where !asked.contains(where: {
      $0.destination.family == route.destination.family && $0.table == route.table
    }) {
      asked.append(route)
      present += try kernel.routes(route.destination.family, table: route.table)
    }
    return present
  }

  /// Whether a route of the main table is in another: source-based routing, as the reference `sbr`,
  /// moves it there.
  fileprivate borrowing func hasMoved(_ route: Route) throws(CNIError) -> Bool {
    guard route.table == Route.mainTable else { return false }
    let all = try kernel.routes(route.destination.family, table: nil)
    return all.contains { other in
      var route = route
      route.table = other.table
      return other.serves(as: route)
    }
  }
}

extension ResultRoute {
  /// Whether both are the same place in the kernel's tables: destination, table and priority.
  fileprivate func isSame(as other: ResultRoute) -> Bool {
    destination.network == other.destination.network && table == other.table
      && priority == other.priority
  }
}

extension Route {
  /// Whether both have the same place in the kernel's tables.
  fileprivate func isSame(as other: Route) -> Bool {
    destination == other.destination.network && table == other.table && metric == other.metric
  }

  /// Whether a route is what another one asks for. The protocol does not count.
  fileprivate func serves(as other: Route) -> Bool {
    var asked = other
    asked.proto = proto
    asked.priority = priority
    return isSame(as: other) && asked.isInstalled(as: self)
  }
}
