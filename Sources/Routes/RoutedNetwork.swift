// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netfilter
import Node

/// The keys of a network that say what the node needs for all of its pods: routes and firewall rules.
public struct RoutedNetwork {
  /// The network's name, as in `name` of the configuration.
  public let name: NetworkName
  /// The cluster's pod network: one or more prefixes for each family.
  public let network: [IPPrefix]
  /// The other nodes that the configuration names.
  private let staticPeers: [Peer]
  /// The file that names the other nodes; nil if the configuration does.
  public let clusterFile: String?
  /// The overlay that reaches all peers, or those on no segment of this node; nil: peers on no segment of this
  /// node get no route.
  public let overlay: Overlay?
  /// Whether the rest of `network` is unreachable instead of following the default route.
  public let unreachable: Bool
  /// Whether the node's firewalls get rules that accept the network's forwarded packets.
  public let forward: Bool
  /// Whether traffic that leaves the network is masqueraded.
  public let ipMasq: Bool

  /// The most prefixes of `network`: with so many, the rules of all of them still fit into one message to the
  /// kernel.
  public static let mostPrefixes = 128

  /// Reads the keys of a network. The cluster file is not read.
  /// - Throws: error 7 naming the key.
  public init(_ configuration: NetworkConfiguration) throws(CNIError) {
    let keys = configuration.keys
    name = configuration.name
    network = try keys.networks("network")
    guard network.count <= RoutedNetwork.mostPrefixes else {
      throw keys.invalid(
        "network",
        "has \(network.count) prefixes, at most \(RoutedNetwork.mostPrefixes) are possible")
    }
    let overlay = try Overlay.read(keys)
    self.overlay = overlay
    staticPeers =
      try keys.list("peers")?.map { (peer) throws(CNIError) in
        try Peer(peer, takesAnyFamily: overlay != nil)
      } ?? []
    clusterFile = try keys.absolutePath("clusterFile")
    guard clusterFile == nil || !keys.has("peers") else {
      throw keys.invalid("clusterFile", "and key \"peers\" exclude each other")
    }
    unreachable = try keys.bool("unreachable") ?? true
    forward = try keys.bool("forward") ?? true
    ipMasq = try keys.bool("ipMasq") ?? false
    if !network.isEmpty {
      for (index, peer) in staticPeers.enumerated()
      where !network.contains(where: { $0.contains(peer.subnet) }) {
        throw keys.invalid("peers[\(index)].subnet", "is \(peer.subnet), outside of \"network\"")
      }
    }
  }

  /// The address families of the network.
  public var families: [IPAddress.Family] {
    [.v4, .v6].filter { family in network.contains { $0.family == family } }
  }

  /// The index of a peer in `peers`; nil for one of the cluster file.
  func index(of peer: Peer) -> Int? { staticPeers.firstIndex { $0 === peer } }

  /// The other nodes. The cluster file is read here: neither DEL nor GC needs it.
  /// - Throws: error 11 if there is no cluster file yet, 5 if it cannot be read, 6 or 7 if its content
  ///   is no cluster file.
  public func peers() throws(CNIError) -> PeerList {
    guard let clusterFile else { return PeerList(staticPeers) }
    return PeerList(try ClusterFile(path: clusterFile).peers.map { Peer($0) }, within: network)
  }
}
