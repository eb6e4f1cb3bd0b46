// SPDX-License-Identifier: Apache-2.0
import Addresses
import Embedded

/// Which of the cluster's pod subnets get routes. Another node's entry in Kubernetes must not divert
/// traffic of this one: a subnet must not overlap with another's.
public struct ClusterSubnets {
  /// This node's own pod subnets.
  private let own: [IPPrefix]
  /// The addresses of all nodes, in order.
  private let addresses: [IPAddress]

  /// The cluster as this node sees it.
  /// - Parameters:
  ///   - own: this node's own pod subnets.
  ///   - addresses: of all nodes, this one's among them.
  public init(own: [IPPrefix], addresses: [IPAddress]) {
    self.own = own
    self.addresses = addresses.inOrder()
  }

  /// The peers that get a route, by subnet. Of two subnets that overlap one is kept: the one as long as this node's
  /// own, otherwise the first in the order of subnets; of equal ones the first in `peers`.
  /// - Parameter problems: gets a sentence for each peer that is left out.
  public func usable(
    _ peers: [ClusterFile.Peer], _ problems: inout [String]
  ) -> [ClusterFile.Peer] {
    var kept: [ClusterFile.Peer] = []
    let sorted = peers.inOrder { $0.subnet < $1.subnet }
    for isUsual in [true, false] {
      for peer in sorted where hasUsualLength(peer.subnet) == isUsual {
        if let problem = problem(of: peer.subnet) {
          problems.append("\(peer.name) has the pod subnet \(peer.subnet)\(problem)")
          continue
        }
        let index = insertionIndex(of: peer.subnet, in: kept)
        let neighbours = kept[max(index - 1, 0)..<min(index + 1, kept.count)]
        guard let other = neighbours.first(where: { $0.subnet.overlaps(peer.subnet) }) else {
          kept.insert(peer, at: index)
          continue
        }
        let relation =
          other.subnet == peer.subnet
          ? " that \(other.name) has already"
          : ", which overlaps with \(other.subnet) of \(other.name)"
        problems.append("\(peer.name) has the pod subnet \(peer.subnet)\(relation)")
      }
    }
    return kept
  }

  /// Whether a subnet is as long as this node's own of its family.
  private func hasUsualLength(_ subnet: IPPrefix) -> Bool {
    own.contains { $0.family == subnet.family && $0.length == subnet.length }
  }

  /// What is wrong with a subnet by itself, as the rest of a sentence; nil if it is right.
  private func problem(of subnet: IPPrefix) -> String? {
    if let mine = own.first(where: { $0.overlaps(subnet) }) {
      return mine == subnet ? " of this node" : ", which overlaps with \(mine) of this node"
    }
    if let reserved = reserved.first(where: { $0.overlaps(subnet) }) {
      return ", which overlaps with the reserved \(reserved)"
    }
    // Binary search: a cluster may have thousands of nodes.
    var (low, high) = (0, addresses.count)
    while low < high {
      let middle = (low + high) / 2
      if addresses[middle] < subnet.address { low = middle + 1 } else { high = middle }
    }
    if let address = addresses[low...].first, subnet.contains(address) {
      return ", in which a node has its address \(address)"
    }
    return nil
  }

  /// Loopback, link-local, multicast and reserved (240.0.0.0/4) addresses, and those of "this network" (RFC 6890, RFC 4291).
  private var reserved: [IPPrefix] {
    [
      "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10",
      "ff00::/8",
    ].compactMap { IPPrefix($0) }
  }

  /// The index at which a subnet is inserted into peers that are in order.
  private func insertionIndex(of subnet: IPPrefix, in peers: [ClusterFile.Peer]) -> Int {
    var (low, high) = (0, peers.count)
    while low < high {
      let middle = (low + high) / 2
      if peers[middle].subnet < subnet { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
