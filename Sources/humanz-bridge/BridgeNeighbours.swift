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
  /// Whether its MAC address is behind no port of the bridge: the pod's link was deleted with its namespace. If
  /// such an entry is deleted wrongly, the next packet makes it again.
  /// - Parameter entries: the bridge's forwarding entries.
  func isOrphan(among entries: [ForwardingEntry]) -> Bool {
    !isPermanent && !entries.contains { $0.mac == mac }
  }
}
