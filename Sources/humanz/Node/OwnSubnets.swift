// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Netlink
import Node
import Routes

extension ConfiguredNetwork {
  /// The node's routes for the network: to its peers if it has any, and to this node's own pods.
  /// - Parameter own: see `OwnSubnets`.
  func nodeRoutes(_ own: [IPPrefix], _ node: borrowing Node) throws(CNIError) -> NodeRoutes {
    guard let routed else { return try NodeRoutes(PeerList([]), own: own, staleWithin: [], node) }
    return try NodeRoutes(routed, own: own, node)
  }
}

/// The subnets of a network's pods on this node, and the link that is their gateway.
struct OwnSubnets {
  /// Each has the link's address in the subnet as its address, or the network address if the link has none there.
  private(set) var prefixes: [IPPrefix] = []
  /// The sets of ranges that have pods but no gateway address on the link: the set's first subnet, and a sentence
  /// about the link.
  private(set) var unserved: [(subnet: IPPrefix, problem: String)] = []
  /// The bridge, or its link in a VLAN; nil if there is none, as before the first pod.
  private(set) var link: Link?

  init(of network: ConfiguredNetwork, _ node: borrowing Node) throws(CNIError) {
    var addresses: [InterfaceAddress] = []
    var link = try network.gatewayLink.flatMap { (name) throws(CNIError) in
      try node.kernel.link(name)
    }
    // VLAN 1 is the bridge's own, unless somebody has changed that.
    if link == nil, network.vlan == 1, let bridge = network.bridge {
      link = try node.kernel.link(bridge)
    }
    if let link { addresses = try node.kernel.addresses(of: link.index) }
    self.link = link
    for set in network.pools?.sets ?? [] {
      let found = set.ranges.map { range in
        OwnSubnets.prefix(of: range, among: addresses.map { $0.prefix })
      }
      for prefix in found where !prefixes.contains(prefix) { prefixes.append(prefix) }
      // An ADD gives the link only the gateway of the range that it leases from.
      let subnet = set.ranges[0].subnet
      let needsAddress = zip(found, set.ranges).allSatisfy { prefix, range in
        prefix == range.subnet && range.gateway.map { prefix.contains($0) } ?? false
      }
      guard let name = network.gatewayLink, network.isGateway, needsAddress,
        try OwnSubnets.hasPods(network, node)
      else { continue }
      let problem = link.map { link in
        "\(link.name) \(link.isUp ? "has no address of \(subnet)" : "is down")"
      }
      unserved.append((subnet, "own subnet \(subnet): \(problem ?? "there is no link \(name)")"))
    }
  }

  /// The link's address in a range's subnet, the gateway's first; without one, the subnet.
  private static func prefix(of range: AddressRange, among present: [IPPrefix]) -> IPPrefix {
    let inside = present.filter { $0.network == range.subnet }
    return inside.first { $0.address == range.gateway } ?? inside.first ?? range.subnet
  }

  /// Whether the bridge has a port of the network, or one whose network is not known.
  private static func hasPods(
    _ network: ConfiguredNetwork, _ node: borrowing Node
  ) throws(CNIError) -> Bool {
    guard let name = network.bridge, let bridge = try node.kernel.link(name) else { return false }
    for port in try node.kernel.links(master: bridge.index) {
      guard let owner = port.alias.flatMap({ HostInterface.owner(alias: $0) }) else {
        // Another plugin's port of a pod, or the node's own uplink.
        if port.kind == "veth", port.peerNamespaceID != nil { return true }
        continue
      }
      guard owner.network == network.name else { continue }
      guard network.usesOurIPAM, let folder = network.leaseFolder else { return true }
      // Before its ADD has leased an address, a port needs no gateway.
      let reader = (try? LeaseReader(network.name, in: folder)) ?? nil
      if let reader, ((try? reader.record(of: owner.attachment)) ?? nil) != nil { return true }
    }
    return false
  }
}
