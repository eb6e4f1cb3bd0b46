// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink
import Node

/// The node's neighbour entries of pods: on the bridge, and on its link in the pods' VLAN.
enum BridgeNeighbours {
  static func all(
    on links: [InterfaceName], of node: borrowing Node
  ) throws(CNIError) -> [Neighbour] {
    var neighbours: [Neighbour] = []
    for name in links {
      guard let link = try node.kernel.link(name) else { continue }
      neighbours += try node.kernel.neighbours(of: link.index)
    }
    return neighbours
  }

  /// The same, for links that were read already.
  static func all(
    on names: [InterfaceName], among links: [Link], of node: borrowing Node
  ) throws(CNIError) -> [Neighbour] {
    var neighbours: [Neighbour] = []
    for link in links where names.contains(link.name) {
      neighbours += try node.kernel.neighbours(of: link.index)
    }
    return neighbours
  }

  /// The entries whose MAC address is behind no port, for pods whose links were deleted with their namespace. If
  /// one is deleted wrongly, the next packet makes it again.
  /// - Parameter ports: ports that are about to be deleted, and so do not count.
  static func orphans(
    among neighbours: [Neighbour], besides ports: [Link], _ bridge: Link, of node: borrowing Node
  ) throws(CNIError) -> [Neighbour] {
    let entries = try node.kernel.forwardingEntries(of: bridge.index)
    return neighbours.filter { neighbour in
      !neighbour.isPermanent
        && !entries.contains { entry in
          entry.mac == neighbour.mac && !ports.contains { $0.index == entry.index }
        }
    }
  }
}
