// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink
import Node

/// The node's routes to its peers: those it should have, compared with those it has.
///
/// The kernel's main table is read once for each family, whatever the number of peers, and compared with the
/// peers in one pass. Nothing is sent if everything is right.
public struct NodeRoutes {
  /// In the order of their subnets, among them the rest of each network: see `Peer`.
  private let peers: [Peer]
  /// Peers that get no route, and why.
  let refused: [PeerList.Refusal]
  let table: RouteTable
  /// Within these prefixes a route of ours that no peer needs is stale.
  private let network: [IPPrefix]
  /// The subnets of this node's own pods, each with the gateway's address in it if that is known.
  let own: [IPPrefix]
  /// The links that peers name, if they exist.
  private let devices: [Link]
  /// nil if no peer is reached through an overlay.
  private let tunnels: Tunnels?

  /// Reads the network's peers and the kernel's routes.
  /// - Parameter own: the subnets of this node's own pods: see `ownSubnets(of:)`.
  /// - Throws: error 5, 6, 7 or 11 for the cluster file: see `ClusterFile.init(path:)`; 100 if the kernel
  ///   refuses.
  public init(
    _ routed: RoutedNetwork, own: [IPPrefix] = [], _ node: borrowing Node
  ) throws(CNIError) {
    try self.init(
      try routed.peers(), own: own, unreachable: routed.unreachable ? routed.network : [],
      staleWithin: routed.network, of: routed, node)
  }

  /// Reads the kernel's routes.
  /// - Parameters:
  ///   - list: the peers. Those that are this node are left out.
  ///   - own: the subnets of this node's own pods.
  ///   - unreachable: the prefixes that get an unreachable route for what no peer has.
  ///   - network: within these prefixes a route of ours that no peer needs is stale.
  ///   - routed: the network, for its overlay; nil for no overlay.
  /// - Throws: error 100 if the kernel refuses.
  public init(
    _ list: PeerList, own: [IPPrefix] = [], unreachable: [IPPrefix] = [],
    staleWithin network: [IPPrefix], of routed: RoutedNetwork? = nil, _ node: borrowing Node
  ) throws(CNIError) {
    var list = list
    try list.leaveOutThisNode(own, node)
    self.own = own
    // Nothing of ours may be in the place of the kernel's routes to the own subnets.
    self.network = network + own.map { $0.network }
    refused = list.refused
    // The rest of a network comes before its subnets, and peers mostly come in order.
    let rests = unreachable.filter { prefix in
      !own.contains { $0.network == prefix } && !list.peers.contains { $0.subnet == prefix }
    }
    let all = rests.map { Peer(restOf: $0) } + list.peers
    var devices: [Link] = []
    for peer in list.peers {
      guard let name = peer.device, !devices.contains(where: { $0.name == name }) else { continue }
      if let link = try node.kernel.link(name) { devices.append(link) }
    }
    peers = all.inOrder { $0.subnet < $1.subnet }
    self.devices = devices
    var routes: [Route] = []
    for family in [IPAddress.Family.v4, .v6]
    where self.network.contains(where: { $0.family == family })
      || all.contains(where: { $0.subnet.family == family })
      || routed?.overlay != nil && all.contains(where: { $0.via.first?.family == family })
    {
      routes += try node.kernel.routes(family)
    }
    table = RouteTable(routes)
    if let routed, let overlay = routed.overlay {
      tunnels = try Tunnels(overlay, of: routed, to: list.peers, own: own, by: table, node)
    } else {
      tunnels = nil
    }
  }

  /// What is wrong, a sentence for each problem.
  /// - Parameter includingRepairable: whether to include what the next ADD repairs.
  /// - Throws: error 100 if the kernel refuses.
  public func problems(
    includingRepairable: Bool = true, on node: borrowing Node
  ) throws(CNIError) -> [String] {
    let routes = try findings(on: node).filter { includingRepairable || $0.repair == nil }
      .map { $0.message }
    guard includingRepairable, let tunnels else { return routes }
    return try tunnels.problems() + routes
  }

  /// Makes missing routes, replaces different ones and deletes stale ones. A bad peer does not
  /// stop the others from getting their routes.
  /// Equivalent to: `ip route replace … proto 72`, `ip route delete …` for the stale ones.
  /// - Returns: a sentence for each route that cannot be made.
  public func repair(on node: borrowing Node) -> [String] {
    var repaired: [Finding] = []
    return repair(on: node, &repaired)
  }

  /// As `repair(on:)`.
  /// - Parameter repaired: gets what was wrong and is repaired.
  public func repair(on node: borrowing Node, _ repaired: inout [Finding]) -> [String] {
    var problems: [String] = []
    do throws(CNIError) { try tunnels?.repair(on: node) } catch { problems.append(error.message) }
    do throws(CNIError) {
      var repairs: [Request] = []
      var repairable: [Finding] = []
      for finding in try findings(on: node) {
        if let repair = finding.repair {
          repairs.append(repair)
          repairable.append(finding)
        } else {
          problems.append(finding.message)
        }
      }
      var next = 0
      for failure in try node.kernel.failures(performing: repairs) {
        repaired += repairable[next..<failure.index]
        next = failure.index + 1
        // Another ADD may do the same at the same time. A stale route may be gone already; where a route is
        // made, what is missing is its link.
        let isStale = repairable[failure.index].state == .stale
        if failure.error.exists || isStale && failure.error.isMissing { continue }
        problems.append(failure.error.description)
      }
      repaired += repairable[next...]
    } catch {
      problems.append(error.message)
    }
    return problems
  }
}

// MARK: - Comparing

extension NodeRoutes {
  /// What is wrong, and with `all` also what is right.
  /// - Throws: error 100 if the kernel refuses.
  public func findings(all: Bool = false, on node: borrowing Node) throws(CNIError) -> [Finding] {
    var findings = refused.map { refusal in
      Finding(.refused, refusal.peer, refusal.peer.route(), refusal.reason)
    }
    let routes = table.routes
    var next = 0
    for index in 0...peers.count {
      let peer = index < peers.count ? peers[index] : nil
      if let peer, index > 0, peers[index - 1].subnet == peer.subnet {
        reportSharedSubnet(of: peer, and: peers[index - 1], &findings)
        continue
      }
      while next < routes.count, peer.map({ routes[next].destination < $0.subnet }) ?? true {
        reportUnneeded(routes[next], all, &findings)
        next += 1
      }
      guard let peer else { break }
      let first = next
      while next < routes.count, routes[next].destination == peer.subnet { next += 1 }
      compare(peer, routes[first..<next], all, &findings)
    }
    // The own subnets come last: a stale route of ours in their place is deleted before.
    return try withoutThisNode(findings, on: node) + ownFindings(on: node)
  }

  /// A conflist may name every node, this one too: a peer with an address of this node is this node.
  private func withoutThisNode(
    _ findings: [Finding], on node: borrowing Node
  ) throws(CNIError) -> [Finding] {
    func isSuspect(_ finding: Finding) -> Bool {
      finding.state != .installed && !(finding.peer?.isRest ?? true)
    }
    guard findings.contains(where: isSuspect) else { return findings }
    let addresses = try node.kernel.addresses()
    return findings.filter { !($0.peer?.isThisNode(addresses) ?? false) }
  }

  private func reportUnneeded(_ route: Route, _ all: Bool, _ findings: inout [Finding]) {
    guard route.isOurs || all, network.contains(where: { $0.contains(route.destination) }) else {
      return
    }
    findings.append(route.isOurs ? stale(route) : Finding(.foreign, nil, route))
  }

  @inline(never)
  private func stale(_ route: Route) -> Finding {
    Finding(
      .stale, nil, route, "the route to \(route.destination) is stale", repair: .deleteRoute(route))
  }

  private func reportSharedSubnet(
    of peer: Peer, and first: Peer, _ findings: inout [Finding]
  ) {
    if peer.isRest { return }
    findings.append(
      Finding(.conflicting, peer, peer.route(), "\(peer) has the subnet of \(first)"))
  }

  /// - Parameter present: the routes to the destination, by metric.
  private func compare(
    _ peer: Peer, _ present: ArraySlice<Route>, _ all: Bool, _ findings: inout [Finding]
  ) {
    guard let wanted = wantedRoute(to: peer, &findings) else { return }
    let ours = present.first { $0.isOurs }
    // A subnet inside the prefix of one of this node's links must not lead elsewhere.
    if let enclosing = table.linkPrefix(around: peer.subnet), !peer.isRest,
      enclosing.nextHops.first?.device != wanted.link
    {
      findings.append(
        Finding(
          .refused, peer, wanted.route,
          "\(peer): its subnet is inside of \(enclosing.destination), which is on a link of this node"
        ))
      if let ours { findings.append(stale(ours)) }
      return
    }
    // A route that an administrator or a daemon made is right if only its protocol differs from ours.
    let right = (ours ?? present.first { $0.isEquivalent(to: wanted.route) })
      .flatMap { $0.isEquivalent(to: wanted.route) ? $0 : nil }
    if right != nil, present.count == 1, !all { return }
    // The kernel's own route for the whole network takes the place of the unreachable route.
    let other = present.first { !$0.isOurs && !$0.isEquivalent(to: wanted.route) }
    if let other, !peer.isRest || !other.isFromKernel {
      findings.append(
        Finding(
          .conflicting, peer, other,
          "\(peer): somebody else's route to the subnet leads elsewhere: \(other)"))
    }
    if let right {
      if all { findings.append(Finding(.installed, peer, right)) }
    } else if let ours {
      // The kernel replaces the first of several with the same metric, which may be somebody else's.
      let isAlone = !present.contains { !$0.isOurs && $0.metric == ours.metric }
      findings.append(
        Finding(
          .different, peer, ours, "\(peer): its route is \(ours), not \(wanted.route)",
          repair: isAlone ? .replaceRoute(wanted.route) : nil))
    } else if !present.contains(where: { $0.metric == wanted.route.metric }) {
      findings.append(
        Finding(
          .missing, peer, wanted.route, "\(peer): its route is missing",
          repair: .addRoute(wanted.route)))
    }
  }

  /// The route that a peer needs, and the link it leads over; nil if no next hop can be reached: an
  /// old route of ours then stays.
  @inline(never)
  private func wantedRoute(
    to peer: Peer, _ findings: inout [Finding]
  ) -> (route: Route, link: LinkIndex?)? {
    let device = peer.device.flatMap { name in devices.first { $0.name == name }?.index }
    if let name = peer.device, device == nil {
      findings.append(
        Finding(.notOnLink, peer, peer.route(), "\(peer): there is no link \(name)"))
      return nil
    }
    var (reachable, unreachable): ([IPAddress], [IPAddress]) = ([], [])
    var link: LinkIndex?
    for address in peer.via {
      if let found = table.link(of: address, over: device) {
        link = link ?? found
        reachable.append(address)
      } else {
        unreachable.append(address)
      }
    }
    if let tunnels, tunnels.carries(peer, isOnLink: !reachable.isEmpty) {
      return tunnelRoute(to: peer, tunnels, &findings)
    }
    if !unreachable.isEmpty {
      findings.append(
        Finding(
          .notOnLink, peer, peer.route(via: unreachable, device: device),
          "\(peer): the next hop \(unreachable.map { $0.description }.joined(separator: ", "))"
            + " is not on-link"))
    }
    if reachable.isEmpty, !peer.isRest { return nil }
    return (peer.route(via: reachable, device: device), link)
  }

  /// As `wantedRoute`, for a peer that is reached through the overlay.
  @inline(never)
  private func tunnelRoute(
    to peer: Peer, _ tunnels: Tunnels, _ findings: inout [Finding]
  ) -> (route: Route, link: LinkIndex?)? {
    guard tunnels.isUsable else { return nil }
    guard let (route, link) = tunnels.route(to: peer, by: table) else {
      let addresses = peer.via.map { $0.description }.joined(separator: ", ")
      findings.append(
        Finding(.notOnLink, peer, peer.route(), "\(peer): there is no route to \(addresses)"))
      return nil
    }
    return (route, link)
  }
}
