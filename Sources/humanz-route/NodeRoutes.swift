import CNI
import Netlink
import Stage

/// The node's routes as they are to be and as they are, and the difference.
///
/// The kernel's main table is read once a family, whatever the number of peers; nothing is sent where
/// everything is right.
struct NodeRoutes {
  /// A route of ours with what it is for, as a message names it.
  private struct Wanted {
    let route: Route
    let purpose: String
  }

  /// What stands in the way of a route.
  enum Problem: Equatable {
    case missing
    /// Ours, but by another next hop or kind.
    case different(Route)
    /// The next hop is on no link of the node.
    case notOnLink(IPAddress)
    /// Somebody else's route has the destination: it stays.
    case conflicting(Route)
  }

  private let wanted: [Wanted]
  private let present: [Route]
  /// The prefixes within which routes of ours that are not wanted are stale.
  private let network: [IPPrefix]

  init(_ configuration: RouteConfiguration, _ node: borrowing Node) throws(CNIError) {
    try self.init(
      peers: configuration.peers,
      unreachable: configuration.unreachable ? configuration.network : [],
      staleWithin: configuration.network, node)
  }

  /// - Parameters:
  ///   - unreachable: the prefixes whose rest answers unreachable.
  ///   - network: the prefixes within which routes of ours that are not wanted are stale.
  init(
    peers: [Peer], unreachable: [IPPrefix] = [], staleWithin network: [IPPrefix],
    _ node: borrowing Node
  ) throws(CNIError) {
    self.network = network
    var wanted: [Wanted] = []
    for peer in peers {
      let device = try peer.device.flatMap { (name) throws(CNIError) in try node.link(name)?.index }
      wanted.append(
        Wanted(
          route: Route(
            destination: peer.subnet,
            nextHops: peer.via.map { NextHop(gateway: $0, device: device) },
            proto: Route.humanz, mtu: peer.mtu),
          purpose: "peer \(peer)"))
    }
    wanted += unreachable.map {
      Wanted(
        route: Route(destination: $0, kind: .unreachable, nextHops: [], proto: Route.humanz),
        purpose: "the rest of network \($0)")
    }
    self.wanted = wanted
    var present: [Route] = []
    do throws(NetlinkError) {
      for family in [IPAddress.Family.v4, .v6]
      where wanted.contains(where: { $0.route.destination.family == family })
        || network.contains(where: { $0.family == family })
      {
        present += try node.socket.routes(family)
      }
    } catch {
      throw CNIError(error)
    }
    self.present = present
  }

  /// The problem of each route that is not as it is to be.
  private var problems: [(wanted: Wanted, problem: Problem)] {
    wanted.compactMap { wanted in problem(of: wanted.route).map { (wanted, $0) } }
  }

  private func problem(of route: Route) -> Problem? {
    let there = present.filter { $0.destination == route.destination }
    if let other = there.first(where: { $0.proto != Route.humanz }) { return .conflicting(other) }
    for hop in route.nextHops {
      if let gateway = hop.gateway, !isOnLink(gateway) { return .notOnLink(gateway) }
    }
    guard let mine = there.first else { return .missing }
    return mine.leads(as: route) ? nil : .different(mine)
  }

  /// Whether the best route to an address leads straight onto a link.
  private func isOnLink(_ address: IPAddress) -> Bool {
    let best = present.filter { $0.destination.contains(address) }
      .max { $0.destination.length < $1.destination.length }
    return best.map { $0.kind == .unicast && $0.nextHops.allSatisfy { $0.gateway == nil } } ?? false
  }

  /// Routes of ours within the network that nobody wants any more.
  private var stale: [Route] {
    present.filter { route in
      route.proto == Route.humanz && network.contains { $0.contains(route.destination) }
        && !wanted.contains { $0.route.destination == route.destination }
    }
  }

  /// What is wrong, each as a sentence.
  var complaints: [String] {
    problems.map { "\($0.wanted.purpose): \($0.problem)" }
      + stale.map { "the route to \($0.destination) is stale" }
  }

  /// Makes the routes as they are to be. One bad peer never fails the others: what cannot be made is
  /// returned as a sentence each.
  /// Equivalent to: `ip route replace … proto 72`, `ip route delete …` for the stale ones.
  func putRight(on node: borrowing Node) -> [String] {
    var complaints: [String] = []
    for (wanted, problem) in problems {
      switch problem {
      case .missing, .different:
        do throws(CNIError) { try node.perform([.replaceRoute(wanted.route)]) } catch {
          complaints.append("\(wanted.purpose): \(error.message)")
        }
      case .notOnLink, .conflicting:
        complaints.append("\(wanted.purpose): \(problem)")
      }
    }
    for route in stale { try? node.perform([.deleteRoute(route)]) }
    return complaints
  }
}

extension Route {
  /// Whether both send packets the same way.
  fileprivate func leads(as other: Route) -> Bool {
    kind == other.kind && mtu == other.mtu && nextHops.count == other.nextHops.count
      && other.nextHops.allSatisfy { hop in
        nextHops.contains {
          $0.gateway == hop.gateway && (hop.device == nil || $0.device == hop.device)
        }
      }
  }
}

extension NodeRoutes.Problem: CustomStringConvertible {
  var description: String {
    switch self {
    case .missing: "its route is missing"
    case .different(let route): "its route is another: \(route)"
    case .notOnLink(let gateway): "the next hop \(gateway) is not on-link"
    case .conflicting(let route): "somebody else's route is in its place: \(route)"
    }
  }
}
