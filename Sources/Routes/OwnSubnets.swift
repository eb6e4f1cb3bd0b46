// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink
import Node

// The routes to this node's own pods. The kernel makes one with the gateway's address on the bridge, and never
// again if somebody deletes it.

extension NodeRoutes {
  /// The subnets of a result's addresses, each with the gateway's address in it if there is one.
  public static func ownSubnets(of ips: [ResultIP]) -> [IPPrefix] {
    var subnets: [IPPrefix] = []
    // An address of full length is a single pod's.
    for ip in ips where ip.address.length < ip.address.family.bits {
      var subnet = ip.address.network
      if let gateway = ip.gateway, subnet.contains(gateway) {
        subnet = IPPrefix(gateway, length: subnet.length)
      }
      if !subnets.contains(subnet) { subnets.append(subnet) }
    }
    return subnets
  }

  /// What is wrong with the kernel's routes to this node's own pods. Sends nothing if all are there.
  func ownFindings(on node: borrowing Node) throws(CNIError) -> [Finding] {
    var findings: [Finding] = []
    for gateway in own where !isConnected(gateway) {
      if let finding = try ownFinding(gateway, node) { findings.append(finding) }
    }
    return findings
  }

  /// Whether the kernel's route for a gateway's address is there, or the subnet has no gateway here.
  private func isConnected(_ gateway: IPPrefix) -> Bool {
    let subnet = gateway.network
    return gateway == subnet
      || table.routes.contains { route in
        route.destination == subnet && route.isFromKernel && route.link != nil
          && (subnet.family == .v6 || route.source == gateway.address)
      }
  }

  /// - Returns: nil if no link has the gateway's address, or another route to the link serves.
  @inline(never)
  private func ownFinding(
    _ gateway: IPPrefix, _ node: borrowing Node
  ) throws(CNIError) -> Finding? {
    let addresses = try node.kernel.addresses()
    // A link with a master, such as a VRF's, has its routes in another table.
    guard let index = addresses.first(where: { $0.prefix == gateway })?.index,
      let link = try node.kernel.link(at: index), link.master == nil
    else { return nil }
    let wanted = Route.connected(gateway, index)
    let words = "own subnet \(wanted.destination)"
    if !link.isUp {
      return Finding(.missing, nil, wanted, "\(words): \(link.name) is down")
    }
    let present = table.routes.filter { $0.destination == wanted.destination }
    if present.contains(where: { $0.link == index }) { return nil }
    if let other = present.first(where: { !$0.isOurs && $0.metric == wanted.metric }) {
      return Finding(
        .conflicting, nil, other, "\(words): somebody else's route is in its place: \(other)")
    }
    return Finding(
      .missing, nil, wanted, "\(words): its route is missing", repair: .addRoute(wanted))
  }
}

// MARK: - Peers that are this node, or have its subnet

extension PeerList {
  /// Leaves out the peers with an address of this node: they are this node, which a list for all nodes names
  /// too. Other peers with one of its subnets would draw away the packets for its pods: they get no route.
  @inline(never)
  mutating func leaveOutThisNode(
    _ own: [IPPrefix], _ node: borrowing Node
  ) throws(CNIError) {
    guard peers.contains(where: { $0.subnet(of: own) != nil }) else { return }
    let addresses = try node.kernel.addresses()
    let all = peers
    peers = []
    for peer in all where !peer.isThisNode(addresses) {
      guard let subnet = peer.subnet(of: own) else {
        peers.append(peer)
        continue
      }
      refused.append(
        Refusal(
          peer, "\(peer): its subnet overlaps with \(subnet.network) of this node",
          own: subnet.network))
    }
  }
}

extension Peer {
  /// Whether one of its addresses is among a node's: a list may name every node, this one too.
  public func isThisNode(_ addresses: [InterfaceAddress]) -> Bool {
    addresses.contains { via.contains($0.prefix.address) }
  }

  /// The first of the prefixes that contains the peer's subnet. A peer with a larger subnet does no harm: the
  /// kernel prefers the longer prefix.
  fileprivate func subnet(of prefixes: [IPPrefix]) -> IPPrefix? {
    prefixes.first { $0.contains(subnet) }
  }
}

extension NodeRoutes {
  /// Refuses a configuration that gives a subnet of this node to a peer that is not this node.
  /// - Throws: error 7 naming the key of the peer.
  @inline(never)
  public func refuseOwnSubnets(in routed: RoutedNetwork) throws(CNIError) {
    for refusal in refused {
      guard let own = refusal.own, let index = routed.index(of: refusal.peer) else { continue }
      throw CNIError(
        .invalidConfiguration,
        "key \"peers[\(index)].subnet\" is \(refusal.peer.subnet), which overlaps with \(own) of this node",
        details: "if the entry is this node, its \"via\" must be an address of this node")
    }
  }
}

extension Route {
  /// The route that the kernel makes for a link's address. Equivalent to:
  /// `ip route add SUBNET dev LINK proto kernel scope link src GATEWAY`.
  @inline(never)
  static func connected(_ gateway: IPPrefix, _ device: LinkIndex) -> Route {
    let isIPv4 = gateway.family == .v4
    return Route(
      destination: gateway.network, nextHops: [NextHop(device: device)], proto: Route.kernel,
      priority: isIPv4 ? nil : 256, source: isIPv4 ? gateway.address : nil)
  }
}
