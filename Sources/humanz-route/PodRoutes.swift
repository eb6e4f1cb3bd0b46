// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink
import Node
import Routes

/// The routes that a pod must have: the result's, the configuration's, and a default route for each family
/// whose address has a gateway. Also the routes that the pod already has.
struct PodRoutes {
  /// The routes for the result. The configuration's replace the earlier stages' to the same destination.
  let result: [ResultRoute]
  /// The same routes as the kernel represents them.
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
      if let index = routes.firstIndex(where: { $0.hasSameKey(as: route) }) {
        routes[index] = route
      } else {
        routes.append(route)
      }
    }
    var defaults: [ResultRoute] = []
    if configuration.defaultRoute {
      for ip in addresses where ip.gateway != nil {
        let route = ResultRoute(.everything(ip.address.family), gateway: ip.gateway)
        if !(routes + defaults).contains(where: { $0.hasSameKey(as: route) }) {
          defaults.append(route)
        }
      }
    }
    func kernelRoutes(_ routes: [ResultRoute]) throws(CNIError) -> [Route] {
      try routes.map { (route) throws(CNIError) in
        try Pod.route(route, through: interface, addresses: addresses)
      }
    }
    let asked = try kernelRoutes(routes)
    let present = try pod.routes(inTablesOf: asked + kernelRoutes(defaults))
    // A default route that no key asks for does not replace another interface's.
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

  /// Makes the missing routes; each replaces one to the same destination in one step.
  /// Equivalent to: `ip link set … up`, `ip route replace …`.
  func make(in pod: borrowing Pod) throws(CNIError) {
    var batch: [Request] = []
    if !interface.isUp {
      batch.append(.changeLink(.index(interface.index), LinkChange(up: true)))
    }
    for route in missing { batch.append(.replaceRoute(route)) }
    if !batch.isEmpty { try pod.kernel.perform(batch) }
  }

  /// The requests that restore the routes that `make` changes.
  var reverse: [Request] {
    missing.map { route in
      let old = present.first { $0.hasSameKey(as: route) }
      return old.map { .replaceRoute($0) } ?? .deleteRoute(route)
    }
  }

  private var missing: [Route] {
    wanted.filter { route in !present.contains { $0.fulfils(route) } }
  }

  /// CHECK: each route exists, with its next hop and its properties.
  /// - Throws: error 102 naming the one that is missing or differs.
  func check(in pod: borrowing Pod) throws(CNIError) {
    for route in missing {
      if let other = present.first(where: { $0.hasSameKey(as: route) }) {
        throw CNIError(
          .checkFailed, "the route to \(route.destination) in \(pod.path) is different",
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
  /// All routes in the tables and families of these routes.
  fileprivate borrowing func routes(inTablesOf wanted: [Route]) throws(CNIError) -> [Route] {
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

  /// Whether a route of the main table is now in another one: source-based routing, such as the reference
  /// `sbr`, moves it.
  fileprivate borrowing func hasMoved(_ route: Route) throws(CNIError) -> Bool {
    guard route.table == Route.mainTable else { return false }
    let all = try kernel.routes(route.destination.family, table: nil)
    return all.contains { other in
      var route = route
      route.table = other.table
      return other.fulfils(route)
    }
  }
}

extension ResultRoute {
  /// Whether both have the same destination, table and priority: the kernel keeps one such route.
  fileprivate func hasSameKey(as other: ResultRoute) -> Bool {
    destination.network == other.destination.network && kernelTable == other.kernelTable
      && metric == other.metric
  }

  /// The table in which the kernel puts it: the main one for none and for 0.
  private var kernelTable: UInt32 { table.flatMap { $0 == 0 ? nil : $0 } ?? Route.mainTable }

  /// The metric that the kernel gives it: for IPv6 1024 instead of none and 0.
  private var metric: UInt32 {
    let priority = priority ?? 0
    return destination.family == .v6 && priority == 0 ? 1024 : priority
  }
}

extension Route {
  /// Whether both have the same destination, table and metric: the kernel keeps one such route.
  fileprivate func hasSameKey(as other: Route) -> Bool {
    destination == other.destination.network && table == other.table && metric == other.metric
  }

  /// Whether this route, as the kernel has it, is what `other` asks for. The protocol may differ.
  fileprivate func fulfils(_ other: Route) -> Bool {
    var asked = other
    asked.proto = proto
    asked.priority = priority
    return hasSameKey(as: other) && asked.isInstalled(as: self)
  }
}
