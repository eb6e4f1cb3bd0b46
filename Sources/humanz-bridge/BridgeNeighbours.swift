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

  /// Deletes the entries whose MAC address is behind no port: pods whose links went with their namespace. The
  /// next packet makes a valid entry again.
  static func removeOrphans(
    _ references: BridgeReferences, of node: borrowing Node
  ) throws(CNIError) {
    guard let bridge = try node.kernel.link(references.bridge), bridge.kind == "bridge" else {
      return
    }
    let reachable = try node.kernel.forwardingEntries(of: bridge.index).map { $0.mac }
    let neighbours = try all(on: references.links, of: node)
    try node.forget(
      neighbours.filter { neighbour in
        !neighbour.isPermanent && !(neighbour.mac.map { reachable.contains($0) } ?? false)
      })
  }
}
