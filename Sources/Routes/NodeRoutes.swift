import Addresses
import CNI
import Embedded
import Netlink
import Node

/// The node's routes as they are to be and as they are, side by side.
///
/// The kernel's main table is read once a family, whatever the number of peers, and gone through once
/// beside the wanted routes; nothing is sent where everything is right.
public struct NodeRoutes {
  /// By subnet.
  private let wanted: [Peer]
  private let table: RouteTable
  /// The prefixes within which routes of ours that are not wanted are stale.
  private let network: [IPPrefix]
  /// The links that peers name, as far as they are there.
  private let devices: [Link]

  public init(_ routed: RoutedNetwork, _ node: borrowing Node) throws(CNIError) {
    try self.init(
      peers: try routed.peers(), unreachable: routed.unreachable ? routed.network : [],
      staleWithin: routed.network, node)
  }

  /// - Parameters:
  ///   - unreachable: the prefixes whose rest answers unreachable.
  ///   - network: the prefixes within which routes of ours that are not wanted are stale.
  public init(
    peers: [Peer], unreachable: [IPPrefix] = [], staleWithin network: [IPPrefix],
    _ node: borrowing Node
  ) throws(CNIError) {
    self.network = network
    // The rest of a network comes before its subnets, and peers mostly come in order.
    var wanted: [Peer] = []
    for prefix in unreachable { wanted.append(Peer(restOf: prefix)) }
    wanted += peers
    var devices: [Link] = []
    for peer in peers {
      guard let name = peer.device, !devices.contains(where: { $0.name == name }) else { continue }
      if let link = try node.kernel.link(name) { devices.append(link) }
    }
    self.wanted = wanted.inOrder { $0.subnet < $1.subnet }
    self.devices = devices
    func concerns(_ family: IPAddress.Family) -> Bool {
      network.contains { $0.family == family }
        || wanted.contains { $0.subnet.family == family }
    }
    var routes: [Route] = []
    for family in [IPAddress.Family.v4, .v6] where concerns(family) {
      routes += try node.kernel.routes(family)
    }
    table = RouteTable(routes)
  }

  /// Whether the table has routes of ours: an ADD has been here.
  /// - Parameter besidesSync: leaves out those to peers, which `humanz-route sync` makes before any.
  public func hasOwn(besidesSync: Bool) -> Bool {
    table.routes.contains { route in
      route.isOurs && !(besidesSync && route.kind == .unicast)
        && network.contains { $0.contains(route.destination) }
    }
  }

  /// What is wrong, each as a sentence.
  /// - Parameter healable: whether to name what the next ADD heals.
  public func complaints(healable: Bool = true, on node: borrowing Node) throws(CNIError)
    -> [String]
  {
    try findings(on: node).filter { healable || $0.repair == nil }.map { $0.message }
  }

  /// Makes the routes as they are to be. One bad peer never fails the others: what cannot be made is
  /// returned as a sentence each.
  /// Equivalent to: `ip route replace … proto 72`, `ip route delete …` for the stale ones.
  public func putRight(on node: borrowing Node) -> [String] {
    var complaints: [String] = []
    var repairs: [Request] = []
    do throws(CNIError) {
      for finding in try findings(on: node) {
        if let repair = finding.repair {
          repairs.append(repair)
        } else {
          complaints.append(finding.message)
        }
      }
      // Another ADD may have been at the same; and a route that is gone is not stale any more.
      for failure in try node.kernel.failures(performing: repairs)
      where !failure.error.exists && !failure.error.isMissing {
        complaints.append(failure.error.description)
      }
    } catch {
      complaints.append(error.message)
    }
    return complaints
  }
}

// MARK: - Comparing

extension NodeRoutes {
  /// What becomes of a destination.
  public enum State {
    case installed, missing
    /// Ours, but by another next hop or kind.
    case different
    /// A next hop is on no link of the node.
    case notOnLink
    /// Somebody else's route has the destination: it stays.
    case conflicting
    /// Ours, and nobody wants it any more.
    case stale
    /// Somebody else's, within the network.
    case foreign
  }

  /// A destination and how it stands.
  public final class Finding {
    public let state: State
    /// Whom it is for; nil where nobody wants it.
    public let peer: Peer?
    /// What is there, or is to be where nothing is.
    public let route: Route
    /// A sentence for a person; empty where all is well.
    public let message: String
    /// What heals it; nil where nothing of ours does.
    let repair: Request?

    public init(
      _ state: State, _ peer: Peer?, _ route: Route, _ message: String = "",
      repair: Request? = nil
    ) {
      self.state = state
      self.peer = peer
      self.route = route
      self.message = message
      self.repair = repair
    }
  }

  /// What is not as it is to be, and with `all` the rest too.
  public func findings(all: Bool = false, on node: borrowing Node) throws(CNIError) -> [Finding] {
    var findings: [Finding] = []
    let routes = table.routes
    var next = 0
    for index in 0...wanted.count {
      let peer = index < wanted.count ? wanted[index] : nil
      if let peer, index > 0, wanted[index - 1].subnet == peer.subnet {
        sharesSubnet(peer, wanted[index - 1], &findings)
        continue
      }
      while next < routes.count, peer.map({ routes[next].destination < $0.subnet }) ?? true {
        unwanted(routes[next], all, &findings)
        next += 1
      }
      guard let peer else { break }
      let first = next
      while next < routes.count, routes[next].destination == peer.subnet { next += 1 }
      compare(peer, routes[first..<next], all, &findings)
    }
    return try withoutOwn(findings, on: node)
  }

  /// A conflist may name every node, this one too: a peer reached by an address of our own is us.
  private func withoutOwn(
    _ findings: [Finding], on node: borrowing Node
  ) throws(CNIError) -> [Finding] {
    func isSuspect(_ finding: Finding) -> Bool {
      finding.state != .installed && !(finding.peer?.isRest ?? true)
    }
    guard findings.contains(where: isSuspect) else { return findings }
    let own = try node.kernel.addresses()
    return findings.filter { finding in
      guard let via = finding.peer?.via else { return true }
      return !own.contains { via.contains($0.prefix.address) }
    }
  }

  private func unwanted(_ route: Route, _ all: Bool, _ findings: inout [Finding]) {
    guard route.isOurs || all, network.contains(where: { $0.contains(route.destination) }) else {
      return
    }
    findings.append(
      route.isOurs
        ? Finding(
          .stale, nil, route, "the route to \(route.destination) is stale",
          repair: .deleteRoute(route))
        : Finding(.foreign, nil, route))
  }

  private func sharesSubnet(_ peer: Peer, _ first: Peer, _ findings: inout [Finding]) {
    if peer.isRest { return }
    findings.append(
      Finding(
        .conflicting, peer, peer.route(via: peer.via, device: nil),
        "\(peer) has the subnet of \(first)"))
  }

  /// - Parameter there: the routes to the destination, by metric.
  private func compare(
    _ peer: Peer, _ there: ArraySlice<Route>, _ all: Bool, _ findings: inout [Finding]
  ) {
    let device = peer.device.flatMap { name in devices.first { $0.name == name }?.index }
    if let name = peer.device, device == nil {
      findings.append(
        Finding(
          .notOnLink, peer, peer.route(via: peer.via, device: nil),
          "\(peer): there is no link \(name)"))
      return
    }
    var hops = peer.via
    if !hops.allSatisfy({ table.isOnLink($0, by: device) }) {
      let off = hops.filter { !table.isOnLink($0, by: device) }
      findings.append(
        Finding(
          .notOnLink, peer, peer.route(via: off, device: device),
          "\(peer): the next hop \(off.map { $0.description }.joined(separator: ", "))"
            + " is not on-link"))
      hops = hops.filter { !off.contains($0) }
      // Keep our old route: no next hop is reachable.
      if hops.isEmpty { return }
    }
    let mine = there.first { $0.isOurs }
    let isRight = mine.map { $0.leads(as: peer, hops, device) } ?? false
    if isRight, there.count == 1, !all { return }
    let route = peer.route(via: hops, device: device)
    // Where the whole network is on a link of the node, there is no rest of it.
    if let other = there.first(where: { !$0.isOurs }), !peer.isRest || !other.isKernels {
      findings.append(
        Finding(
          .conflicting, peer, other,
          "\(peer): somebody else's route is in its place: \(other)"))
    }
    if let mine, isRight {
      if all { findings.append(Finding(.installed, peer, mine)) }
    } else if let mine {
      // In place of ours alone: the kernel takes the first of several with the same metric.
      let isAlone = !there.contains { !$0.isOurs && $0.metric == mine.metric }
      findings.append(
        Finding(
          .different, peer, mine, "\(peer): its route is another: \(mine)",
          repair: isAlone ? .replaceRoute(route) : nil))
    } else if !there.contains(where: { $0.metric == route.metric }) {
      findings.append(
        Finding(
          .missing, peer, route, "\(peer): its route is missing", repair: .addRoute(route)))
    }
  }
}

extension NodeRoutes.State: CustomStringConvertible {
  public var description: String {
    switch self {
    case .installed: "installed"
    case .missing: "missing"
    case .different: "different"
    case .notOnLink: "not on-link"
    case .conflicting: "conflicting"
    case .stale: "stale"
    case .foreign: "foreign"
    }
  }
}

extension Peer {
  fileprivate func route(via hops: [IPAddress], device: LinkIndex?) -> Route {
    Route(
      destination: subnet, kind: isRest ? .unreachable : .unicast,
      nextHops: hops.map { NextHop(gateway: $0, device: device) }, mtu: mtu)
  }
}

extension Route {
  fileprivate var isOurs: Bool { proto == Route.humanz }

  /// Whether it is a link's own, which comes and goes with an address.
  fileprivate var isKernels: Bool { proto == Route.kernel }

  /// Whether it sends packets as a route to the peer does.
  fileprivate func leads(
    as peer: Peer, _ hops: [IPAddress], _ device: LinkIndex?
  ) -> Bool {
    guard kind == (peer.isRest ? .unreachable : .unicast), mtu == peer.mtu,
      nextHops.count == hops.count
    else { return false }
    for hop in nextHops {
      guard hop.weight == 1, device == nil || hop.device == device, let gateway = hop.gateway,
        hops.contains(gateway)
      else { return false }
    }
    return true
  }
}
