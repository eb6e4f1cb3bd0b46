// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink

/// The routes of a node's main table, sorted: the route to an address is found by binary search.
struct RouteTable {
  /// By destination, an enclosing one before what it encloses, and by metric.
  let routes: [Route]
  /// For each route, the index of the last route to the closest enclosing destination; -1 for none.
  private let enclosing: [Int]
  /// The prefixes that links have by their addresses, each once, by its best route. They are few.
  private let linkPrefixes: [Route]

  init(_ routes: [Route]) {
    self.routes = routes.inOrder {
      $0.destination == $1.destination
        ? $0.metric < $1.metric : $0.destination < $1.destination
    }
    var enclosing: [Int] = []
    enclosing.reserveCapacity(routes.count)
    for (index, route) in self.routes.enumerated() {
      var candidate = index - 1
      while candidate >= 0,
        self.routes[candidate].destination == route.destination
          || !self.routes[candidate].destination.contains(route.destination)
      {
        candidate = enclosing[candidate]
      }
      enclosing.append(candidate)
    }
    self.enclosing = enclosing
    var linkPrefixes: [Route] = []
    for route in self.routes where route.isFromKernel && route.link != nil {
      if linkPrefixes.last?.destination != route.destination { linkPrefixes.append(route) }
    }
    self.linkPrefixes = linkPrefixes
  }

  /// The link that an address is on, by the best route to it or by the best one over a device; nil if
  /// that route leads to a router or nowhere.
  func link(of address: IPAddress, over device: LinkIndex?) -> LinkIndex? {
    let route = nearest(to: address) { route in
      device == nil || route.nextHops.contains { $0.device == device }
    }
    guard let link = route?.link else { return nil }
    return device ?? link
  }

  /// The route by which packets to an address leave the node, apart from routes through a tunnel.
  @inline(never)
  func outerRoute(to address: IPAddress) -> Route? {
    nearest(to: address) { route in
      route.nextHops.allSatisfy { $0.encapsulation == nil }
    }.flatMap { $0.kind == .unicast ? $0 : nil }
  }

  /// The kernel's route for the longest link prefix around a subnet.
  @inline(never)
  func linkPrefix(around subnet: IPPrefix) -> Route? {
    linkPrefixes.last {
      $0.destination.length < subnet.length && $0.destination.contains(subnet.address)
    }
  }

  /// The best route with the longest destination around an address that `isMatch` accepts.
  @inline(never)
  private func nearest(to address: IPAddress, _ isMatch: (Route) -> Bool) -> Route? {
    var index = lastIndex(upTo: address)
    while index >= 0 {
      let destination = routes[index].destination
      let outer = enclosing[index]
      if destination.contains(address) {
        // Those of one destination are together, the best one first.
        var best: Route?
        while index >= 0, routes[index].destination == destination {
          if isMatch(routes[index]) { best = routes[index] }
          index -= 1
        }
        if let best { return best }
      }
      index = outer
    }
    return nil
  }

  /// The last route whose destination begins at the address or before it; -1 for none.
  private func lastIndex(upTo address: IPAddress) -> Int {
    var (low, high) = (0, routes.count)
    while low < high {
      let middle = (low + high) / 2
      if address < routes[middle].destination.address { high = middle } else { low = middle + 1 }
    }
    return low - 1
  }
}

extension Route {
  /// The link that its destination is on; nil for a route that leads to a router or nowhere.
  var link: LinkIndex? {
    guard kind == .unicast,
      nextHops.allSatisfy({ $0.gateway == nil && $0.encapsulation == nil })
    else { return nil }
    return nextHops.first?.device
  }

  /// The metric in force: the lowest goes first.
  public var metric: UInt32 { priority ?? (destination.family == .v4 ? 0 : 1024) }
}
