// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Netlink
import Node
import Routes

/// The part of a Kubernetes Node that the network needs.
struct SyncNode {
  let name: String
  /// Its pod subnets: `spec.podCIDRs`, or `spec.podCIDR`.
  private(set) var subnets: [IPPrefix]
  /// Its addresses of type InternalIP.
  private(set) var addresses: [IPAddress]
  /// The parts that cannot be used, a sentence each.
  private(set) var problems: [String] = []
  /// Whether the node comes from the cluster file, and not from the cluster yet.
  private(set) var isRemembered = false

  /// - Throws: error 7 naming the key, for an object that is not a Node.
  init(_ keys: Keys) throws(CNIError) {
    let kind = try keys.string("kind") ?? "Node"
    guard kind == "Node" else { throw keys.invalid("kind", "is \"\(kind)\", expected Node") }
    guard let name = try keys.keys("metadata")?.string("name") else {
      throw keys.invalid("metadata.name", "is required")
    }
    self.name = name
    let spec = try keys.keys("spec")
    var texts = try spec?.strings("podCIDRs") ?? []
    if texts.isEmpty, let text = try spec?.string("podCIDR"), !text.isEmpty { texts = [text] }
    subnets = texts.compactMap { IPPrefix($0)?.network }
    addresses = []
    for address in try keys.keys("status")?.list("addresses") ?? []
    where try address.string("type") == "InternalIP" {
      if let address = IPAddress(try address.string("address") ?? "") { addresses.append(address) }
    }
    if subnets.count < texts.count {
      problems.append("node \(name) has an invalid podCIDR: \(texts.joined(separator: ", "))")
    }
  }

  /// A node from the cluster file.
  init(_ name: String, rememberedAs peers: [(subnet: IPPrefix, via: [IPAddress])]) {
    self.name = name
    subnets = peers.map { $0.subnet }
    addresses = peers.flatMap { $0.via }
    isRemembered = true
  }

  /// The node as a peer of others: one peer for each subnet, at the node's first address of the family.
  /// - Parameter problems: a sentence is added for each subnet that is left out.
  func peers(_ problems: inout [String]) -> [ClusterFile.Peer] {
    subnets.compactMap { subnet in
      guard let address = addresses.first(where: { $0.family == subnet.family }) else {
        problems.append(
          "node \(name) has no InternalIP of IPv\(subnet.family.version) for its pod subnet \(subnet)"
        )
        return nil
      }
      guard !subnet.contains(address) else {
        problems.append(
          "node \(name) has its own address \(address) in its pod subnet \(subnet)")
        return nil
      }
      return ClusterFile.Peer(name: name, subnet: subnet, via: [address])
    }
  }
}

extension SyncNode: Equatable {
  /// Whether both make the same routes; `isRemembered` does not count.
  static func == (left: SyncNode, right: SyncNode) -> Bool {
    left.name == right.name && left.subnets == right.subnets && left.addresses == right.addresses
      && left.problems == right.problems
  }
}
