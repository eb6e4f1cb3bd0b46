import CNI
import Netlink
import Stage

/// The node's routes as they are to be and as they are, side by side.
///
/// The kernel's main table is read once a family, whatever the number of peers, and gone through once
/// beside the wanted routes; nothing is sent where everything is right.
struct NodeRoutes {
  /// What a route of ours is for.
  struct Purpose {
    let destination: IPPrefix
    /// nil for what of the network no peer has.
    let peer: Peer?
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
    var wanted: [Purpose] = []
    wanted.reserveCapacity(peers.count + unreachable.count)
    var devices: [(name: InterfaceName, index: Int32?)] = []
    for peer in peers {
      wanted.append(Purpose(destination: peer.subnet, peer: peer))
      if let name = peer.device, !devices.contains(where: { $0.name == name }) {
        devices.append((name, try node.link(name)?.index))
      }
    }
    for prefix in unreachable { wanted.append(Purpose(destination: prefix, peer: nil)) }
    let prefixes = network + wanted.map { $0.destination }
    self.wanted = wanted.inOrder { $0.destination < $1.destination }
    self.devices = devices
    var routes: [Route] = []
    do throws(NetlinkError) {
      for family in [IPAddress.Family.v4, .v6]
      where prefixes.contains(where: { $0.family == family }) {
        routes += try node.socket.routes(family)
      }
    } catch {
      throw CNIError(error)
    }
    table = RouteTable(routes)
  }

  /// Whether the table has routes of ours: an ADD has been here.
  /// - Parameter besidesSync: leaves out those to peers, which `humanz-route sync` makes before any.
  func hasOwn(besidesSync: Bool) -> Bool {
    table.routes.contains { route in
      route.isOurs && !(besidesSync && route.kind == .unicast)
        && network.contains { $0.contains(route.destination) }
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
      for failure in try node.failures(performing: repairs)
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
  final class Finding {
    let state: State
    /// nil where nobody wants it.
    let purpose: Purpose?
    /// What is there, or is to be where nothing is.
    let route: Route
    /// A sentence for a person; empty where all is well.
    let message: String
    /// What heals it; nil where nothing of ours does.
    let repair: Request?

    init(
      _ state: State, _ purpose: Purpose?, _ route: Route, _ message: String = "",
      repair: Request? = nil
    ) {
      self.state = state
      self.purpose = purpose
      self.route = route
      self.message = message
      self.repair = repair
    }
  }

  /// What is not as it is to be, and with `all` the rest too.
  func findings(all: Bool = false, on node: borrowing Node) throws(CNIError) -> [Finding] {
    var findings: [Finding] = []
    let routes = table.routes
    var next = 0
    for index in 0...wanted.count {
      let purpose = index < wanted.count ? wanted[index] : nil
      if let purpose, index > 0, wanted[index - 1].destination == purpose.destination {
        twice(purpose, wanted[index - 1], &findings)
        continue
      }
      while next < routes.count, purpose.map({ routes[next].destination < $0.destination }) ?? true
      {
        unwanted(routes[next], all, &findings)
        next += 1
      }
      guard let purpose else { break }
      let first = next
      while next < routes.count, routes[next].destination == purpose.destination { next += 1 }
      compare(purpose, routes[first..<next], all, &findings)
    }
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
          .stale, nil, route, "the route to \(route.destination) is stale",
          repair: .deleteRoute(route))
        : Finding(.foreign, nil, route))
  }

  private func twice(_ purpose: Purpose, _ first: Purpose, _ findings: inout [Finding]) {
    if purpose.peer == nil { return }
    findings.append(
      Finding(
        .conflicting, purpose, purpose.route(via: [], device: nil),
        "\(purpose) has the subnet of \(first)"))
  }

  /// - Parameter there: the routes to the destination, by metric.
  private func compare(
    _ purpose: Purpose, _ there: ArraySlice<Route>, _ all: Bool, _ findings: inout [Finding]
  ) {
    var device: Int32?
    if let name = purpose.peer?.device {
      device = devices.first { $0.name == name }?.index
      guard device != nil else {
        findings.append(
          Finding(
            .notOnLink, purpose, purpose.route(via: purpose.via, device: nil),
            "\(purpose): there is no link \(name)"))
        return
      }
    }
    var hops = purpose.via
    let off = hops.filter { !table.isOnLink($0, by: device) }
    if !off.isEmpty {
      findings.append(
        Finding(
          .notOnLink, purpose, purpose.route(via: off, device: device),
          "\(purpose): the next hop \(off.map { $0.description }.joined(separator: ", "))"
            + " is not on-link"))
      hops = hops.filter { !off.contains($0) }
      // What is there of ours stays: it leads nowhere better.
      if hops.isEmpty { return }
    }
    let mine = there.first { $0.isOurs }
    let isRight = mine.map { $0.leads(as: purpose, hops, device) } ?? false
    if isRight, there.count == 1, !all { return }
    let route = purpose.route(via: hops, device: device)
    // Where the whole network is on a link of the node, there is no rest of it.
    if let other = there.first(where: { !$0.isOurs }), purpose.peer != nil || !other.isKernels {
      findings.append(
        Finding(
          .conflicting, purpose, other,
          "\(purpose): somebody else's route is in its place: \(other)"))
    }
    if let mine, isRight {
      if all { findings.append(Finding(.installed, purpose, mine)) }
    } else if let mine {
      // In place of ours alone: the kernel takes the first of several with the same metric.
      let isAlone = !there.contains { !$0.isOurs && $0.metric == mine.metric }
      findings.append(
        Finding(
          .different, purpose, mine, "\(purpose): its route is another: \(mine)",
          repair: isAlone ? .replaceRoute(route) : nil))
    } else if !there.contains(where: { $0.metric == route.metric }) {
      findings.append(
        Finding(
          .missing, purpose, route, "\(purpose): its route is missing", repair: .addRoute(route)))
    }
  }
}

extension NodeRoutes.Purpose: CustomStringConvertible {
  fileprivate var via: [IPAddress] { peer?.via ?? [] }

  fileprivate func route(via hops: [IPAddress], device: Int32?) -> Route {
    Route(
      destination: destination, kind: peer == nil ? .unreachable : .unicast,
      nextHops: hops.map { NextHop(gateway: $0, device: device) }, mtu: peer?.mtu)
  }

  var description: String {
    peer.map { "peer \($0)" } ?? "the rest of network \(destination)"
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
    guard kind == .unicast, mtu == peer.mtu, nextHops.count == hops.count else { return false }
    for hop in nextHops {
      guard hop.weight == 1, device == nil || hop.device == device, let gateway = hop.gateway,
        hops.contains(gateway)
      else { return false }
    }
    return true
  }
}
