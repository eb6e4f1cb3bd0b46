import Addresses
import CNI
import Embedded
import Netlink

/// The routes of a node's main table, sorted: what leads to an address is found without looking at
/// them all.
struct RouteTable {
  /// By destination, an enclosing one before what it encloses, and by metric.
  let routes: [Route]
  /// For each route the last one of the nearest destination that encloses its own; -1 for none.
  private let enclosing: [Int]

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
  }

  /// Whether the best route to an address, or the best one by a device, leads straight onto a link.
  func isOnLink(_ address: IPAddress, by device: LinkIndex?) -> Bool {
    var index = lastIndex(upTo: address)
    while index >= 0 {
      let destination = routes[index].destination
      let outer = enclosing[index]
      if destination.contains(address) {
        var best: Int?
        var candidate = index
        while candidate >= 0, routes[candidate].destination == destination {
          if device == nil || routes[candidate].nextHops.contains(where: { $0.device == device }) {
            best = candidate
          }
          candidate -= 1
        }
        if let best {
          return routes[best].kind == .unicast
            && routes[best].nextHops.allSatisfy { $0.gateway == nil }
        }
      }
      index = outer
    }
    return false
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
  /// The metric in force: the lowest goes first.
  public var metric: UInt32 { priority ?? (destination.family == .v4 ? 0 : 1024) }
}
