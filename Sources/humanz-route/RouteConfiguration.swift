import CNI
import Stage

/// The keys of `humanz-route`, read once.
struct RouteConfiguration {
  /// The cluster's pod network: one prefix a family or more.
  let network: [IPPrefix]
  /// The other nodes that the configuration names.
  private let staticPeers: [Peer]
  /// The file that names the other nodes; nil where the configuration does.
  let clusterFile: String?
  /// Whether the pod gets a default route through its gateway.
  let defaultRoute: Bool
  /// Further routes for the pod.
  let routes: [ResultRoute]
  /// Whether the rest of `network` answers unreachable instead of leaving by the default route.
  let unreachable: Bool
  /// Whether firewalls of the node are told to let the network through.
  let forward: Bool
  /// Whether what leaves the network leaves with the node's address.
  let ipMasq: Bool

  /// - Throws: error 7 naming the key.
  init(_ configuration: NetworkConfiguration) throws(CNIError) {
    let keys = configuration.keys
    network = try keys.networks("network")
    staticPeers = try keys.list("peers")?.map { (peer) throws(CNIError) in try Peer(peer) } ?? []
    clusterFile = try keys.string("clusterFile")
    guard clusterFile == nil || !keys.has("peers") else {
      throw keys.invalid("clusterFile", "and key \"peers\" exclude each other")
    }
    if let path = clusterFile, path.utf8.first != UInt8(ascii: "/") {
      throw keys.invalid("clusterFile", "is \"\(path)\": an absolute path is due")
    }
    defaultRoute = try keys.bool("defaultRoute") ?? true
    routes =
      try keys.list("routes")?.map { (route) throws(CNIError) in try ResultRoute(route) } ?? []
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
  var families: [IPAddress.Family] {
    [.v4, .v6].filter { family in network.contains { $0.family == family } }
  }

  /// The other nodes. The cluster file is read here: neither DEL nor GC need it.
  /// - Throws: error 11 where the cluster file is not there yet, 6 or 7 where it is none.
  func peers() throws(CNIError) -> [Peer] {
    guard let clusterFile else { return staticPeers }
    return try ClusterFile(path: clusterFile).peers.map { Peer($0) }
  }
}

/// Another node: its pod subnet and how it is reached. Without next hops it stands for what of the
/// network no node has.
final class Peer {
  /// For messages; nil where the configuration gives none.
  let name: String?
  let subnet: IPPrefix
  /// The node's addresses; several make a multipath route.
  let via: [IPAddress]
  /// The link to leave by; nil: the one the next hop is on.
  let device: InterfaceName?
  /// In bytes.
  let mtu: UInt32?

  init(_ keys: Keys) throws(CNIError) {
    name = try keys.string("name")
    guard let subnet = try keys.network("subnet") else {
      throw keys.invalid("subnet", "is missing: the peer's pod subnet is due")
    }
    self.subnet = subnet
    via = try keys.addresses("via", subnet.family)
    guard !via.isEmpty else { throw keys.invalid("via", "is missing: the peer's address is due") }
    device = try keys.parsed("dev", as: "an interface name", InterfaceName.init)
    mtu = try keys.int("mtu", in: 68...65535).map { UInt32($0) }
  }

  /// What of a network no node has.
  init(restOf network: IPPrefix) {
    name = nil
    subnet = network
    via = []
    device = nil
    mtu = nil
  }

  var isRest: Bool { via.isEmpty }

  /// A peer as the cluster file has it.
  init(_ peer: ClusterFile.Peer) {
    name = peer.name
    subnet = peer.subnet
    via = peer.via
    device = nil
    mtu = nil
  }
}

extension Peer: CustomStringConvertible {
  /// The peer as a message names it.
  var description: String {
    if isRest { return "the rest of network \(subnet)" }
    return "peer \(name.map { "\($0) " } ?? "")(\(subnet))"
  }
}
