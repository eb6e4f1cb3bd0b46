// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink
import Node

/// The node's neighbour entries of pods: on the bridge, and on its link in the pods' VLAN.
enum BridgeNeighbours {
  static func all(
    on names: [InterfaceName], of node: borrowing Node
  ) throws(CNIError) -> [Neighbour] {
    var links: [Link] = []
    for name in names {
      if let link = try node.kernel.link(name) { links.append(link) }
    }
    return try all(on: links, of: node)
  }

  static func all(on links: [Link], of node: borrowing Node) throws(CNIError) -> [Neighbour] {
    var neighbours: [Neighbour] = []
    for link in links { neighbours += try node.kernel.neighbours(of: link.index) }
    return neighbours
  }
}

extension Neighbour {
  /// Whether no port of the bridge has the entry's MAC address, because the pod's link went with its namespace.
  /// An entry without a MAC address counts too. If an entry in use is deleted, the next packet makes it again.
  /// - Parameter entries: the bridge's forwarding entries.
  func isOrphan(among entries: [ForwardingEntry]) -> Bool {
    !isPermanent && !entries.contains { $0.mac == mac }
  }
}
