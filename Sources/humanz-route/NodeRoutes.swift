import CNI
import Netlink
import Stage

/// The node's routes as they are to be and as they are, side by side.
///
/// The kernel's main table is read once a family, whatever the number of peers, and gone through once
/// beside the wanted routes; nothing is sent where everything is right.
struct NodeRoutes {
  /// What a route of ours is for.
  enum Purpose {
    case peer(Peer)
    /// What of the network no peer has.
    case rest(IPPrefix)
  }

  /// By destination.
  private let wanted: [Purpose]
  private let table: RouteTable
  /// The prefixes within which routes of ours that are not wanted are stale.
  private let network: [IPPrefix]
  /// The links that peers name; no index for one that is not there.
  private let devices: [(name: InterfaceName, index: Int32?)]

  init(_ configuration: RouteConfiguration, _ node: borrowing Node) throws(CNIError) {
    try self.init(
      peers: try configuration.peers(),
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
    var wanted = peers.map { Purpose.peer($0) }
    wanted += unreachable.map { .rest($0) }
    if !zip(wanted, wanted.dropFirst()).allSatisfy({ $0.destination < $1.destination }) {
      wanted.sort { $0.destination < $1.destination }
    }
    self.wanted = wanted
    var devices: [(name: InterfaceName, index: Int32?)] = []
    for peer in peers {
      if let name = peer.device, !devices.contains(where: { $0.name == name }) {
        devices.append((name, try node.link(name)?.index))
      }
    }
    self.devices = devices
    var routes: [Route] = []
    do throws(NetlinkError) {
      for family in [IPAddress.Family.v4, .v6]
      where wanted.contains(where: { $0.destination.family == family })
        || network.contains(where: { $0.family == family })
      {
        routes += try node.socket.routes(family)
      }
    } catch {
      throw CNIError(error)
    }
    table = RouteTable(routes)
  }

  /// Whether the table has routes of ours: an ADD has been here.
  var hasOwn: Bool {
    table.routes.contains { route in
      route.isOurs && network.contains { $0.contains(route.destination) }
    }
  }

  /// What is wrong, each as a sentence.
  /// - Parameter healable: whether to name what the next ADD heals.
  func complaints(healable: Bool = true, on node: borrowing Node) throws(CNIError) -> [String] {
    try findings(on: node).filter { healable || $0.repair == nil }.map { $0.message }
  }

  /// Makes the routes as they are to be. One bad peer never fails the others: what cannot be made is
  /// returned as a sentence each.
  /// Equivalent to: `ip route replace … proto 72`, `ip route delete …` for the stale ones.
  func putRight(on node: borrowing Node) -> [String] {
    let findings: [Finding]
    do throws(CNIError) { findings = try self.findings(on: node) } catch { return [error.message] }
    if findings.isEmpty { return [] }
    let (healable, hopeless) = (
      findings.filter { $0.repair != nil }, findings.filter { $0.repair == nil }
    )
    var complaints = hopeless.map { $0.message }
    do throws(NetlinkError) {
      let failures = try node.socket.failures(performing: healable.compactMap { $0.repair })
      // Another ADD may have been at the same; and a route that is gone is not stale any more.
      for failure in failures where !failure.error.exists && !failure.error.isMissing {
        complaints.append("\(healable[failure.index].message): \(failure.error)")
      }
    } catch {
      complaints.append(error.description)
    }
    return complaints
  }
}

// MARK: - Comparing

extension NodeRoutes {
  /// What becomes of a destination.
  enum State: String {
    case installed, missing
    /// Ours, but by another next hop or kind.
    case different
    /// A next hop is on no link of the node.
    case notOnLink = "not on-link"
    /// Somebody else's route has the destination: it stays.
    case conflicting
    /// Ours, and nobody wants it any more.
    case stale
    /// Somebody else's, within the network.
    case foreign
  }

  /// A destination and how it stands.
  struct Finding {
    let state: State
    /// nil where nobody wants it.
    let purpose: Purpose?
    /// What is there, or is to be where nothing is.
    let route: Route
    /// A sentence for a person; empty where all is well.
    var message = ""
    /// What heals it; nil where nothing of ours does.
    var repair: Request?
  }

  /// What is not as it is to be, and with `all` the rest too.
  func findings(all: Bool = false, on node: borrowing Node) throws(CNIError) -> [Finding] {
    var findings: [Finding] = []
    let routes = table.routes
    var next = 0
    func skip(while isBefore: (IPPrefix) -> Bool) {
      while next < routes.count, isBefore(routes[next].destination) {
        unwanted(routes[next], all, &findings)
        next += 1
      }
    }
    for (index, purpose) in wanted.enumerated() {
      let destination = purpose.destination
      if index > 0, wanted[index - 1].destination == destination {
        twice(purpose, wanted[index - 1], &findings)
        continue
      }
      skip { $0 < destination }
      let first = next
      while next < routes.count, routes[next].destination == destination { next += 1 }
      compare(purpose, routes[first..<next], all, &findings)
    }
    skip { _ in true }
    return try withoutOwn(findings, on: node)
  }

  /// A conflist may name every node, this one too: a peer reached by an address of our own is us.
  private func withoutOwn(
    _ findings: [Finding], on node: borrowing Node
  ) throws(CNIError) -> [Finding] {
    guard findings.contains(where: { $0.purpose?.peer != nil && $0.state != .installed }) else {
      return findings
    }
    let own: [InterfaceAddress]
    do { own = try node.socket.addresses() } catch { throw CNIError(error) }
    return findings.filter { finding in
      guard let via = finding.purpose?.peer?.via else { return true }
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
          state: .stale, purpose: nil, route: route,
          message: "the route to \(route.destination) is stale", repair: .deleteRoute(route))
        : Finding(state: .foreign, purpose: nil, route: route))
  }

  private func twice(_ purpose: Purpose, _ first: Purpose, _ findings: inout [Finding]) {
    guard let peer = purpose.peer else { return }
    findings.append(
      Finding(
        state: .conflicting, purpose: purpose, route: peer.route(via: [], device: nil),
        message: "\(purpose) has the subnet of \(first)"))
  }

  /// - Parameter there: the routes to the destination, by metric.
  private func compare(
    _ purpose: Purpose, _ there: ArraySlice<Route>, _ all: Bool, _ findings: inout [Finding]
  ) {
    var hops: [IPAddress] = []
    var device: Int32?
    if let peer = purpose.peer {
      if let name = peer.device {
        guard let index = devices.first(where: { $0.name == name })?.index else {
          findings.append(
            Finding(
              state: .notOnLink, purpose: purpose, route: peer.route(via: peer.via, device: nil),
              message: "\(purpose): there is no link \(name)"))
          return
        }
        device = index
      }
      hops = peer.via
      if !hops.allSatisfy({ table.isOnLink($0, by: device) }) {
        let off = hops.filter { !table.isOnLink($0, by: device) }
        findings.append(
          Finding(
            state: .notOnLink, purpose: purpose, route: peer.route(via: off, device: device),
            message: "\(purpose): the next hop \(off.list) is not on-link"))
        hops = hops.filter { table.isOnLink($0, by: device) }
        // What is there of ours stays: it leads nowhere better.
        if hops.isEmpty { return }
      }
    }
    let mine = there.first { $0.isOurs }
    let isRight = mine.map { $0.leads(as: purpose, hops, device) } ?? false
    if isRight, there.count == 1, !all { return }
    let route = purpose.route(via: hops, device: device)
    let other = there.first { !$0.isOurs }
    if let other, !(purpose.peer == nil && other.isKernels) {
      findings.append(
        Finding(
          state: .conflicting, purpose: purpose, route: other,
          message: "\(purpose): somebody else's route is in its place: \(other)"))
    }
    if isRight {
      if all { findings.append(Finding(state: .installed, purpose: purpose, route: mine ?? route)) }
    } else if let mine {
      findings.append(
        Finding(
          state: .different, purpose: purpose, route: mine,
          message: "\(purpose): its route is another: \(mine)",
          // In place of ours alone: the kernel takes the first of several with the same metric.
          repair: there.contains { !$0.isOurs && $0.metric == mine.metric }
            ? nil : .replaceRoute(route)))
    } else if !there.contains(where: { $0.metric == route.metric }) {
      findings.append(
        Finding(
          state: .missing, purpose: purpose, route: route,
          message: "\(purpose): its route is missing", repair: .addRoute(route)))
    }
  }
}

extension NodeRoutes.Purpose: CustomStringConvertible {
  var destination: IPPrefix {
    switch self {
    case .peer(let peer): peer.subnet
    case .rest(let prefix): prefix
    }
  }

  var peer: Peer? { if case .peer(let peer) = self { peer } else { nil } }

  fileprivate func route(via hops: [IPAddress], device: Int32?) -> Route {
    peer?.route(via: hops, device: device) ?? Route(destination: destination, kind: .unreachable)
  }

  var description: String {
    switch self {
    case .peer(let peer): "peer \(peer)"
    case .rest(let prefix): "the rest of network \(prefix)"
    }
  }
}

extension Peer {
  fileprivate func route(via hops: [IPAddress], device: Int32?) -> Route {
    Route(
      destination: subnet, nextHops: hops.map { NextHop(gateway: $0, device: device) }, mtu: mtu)
  }
}

extension Route {
  fileprivate var isOurs: Bool { proto == Route.humanz }

  /// Whether it is a link's own, which comes and goes with an address.
  fileprivate var isKernels: Bool { proto == Route.kernel }

  /// Whether it sends packets as a route for the purpose does.
  fileprivate func leads(
    as purpose: NodeRoutes.Purpose, _ hops: [IPAddress], _ device: Int32?
  ) -> Bool {
    guard let peer = purpose.peer else { return kind == .unreachable }
    return kind == .unicast && mtu == peer.mtu && nextHops.count == hops.count
      && nextHops.allSatisfy { hop in
        hop.weight == 1 && (device == nil || hop.device == device)
          && (hop.gateway.map { hops.contains($0) } ?? false)
      }
  }
}

extension Array where Element == IPAddress {
  fileprivate var list: String { map { $0.description }.joined(separator: ", ") }
}
