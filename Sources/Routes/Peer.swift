import Addresses
import CNI
import Embedded
import Netlink
import Node

/// Another node: its pod subnet and how it is reached. Without next hops it stands for the
/// part of the network that no node has.
public final class Peer {
  /// For messages; nil where the configuration gives none.
  public let name: String?
  public let subnet: IPPrefix
  /// The node's addresses; several make a multipath route.
  public let via: [IPAddress]
  /// The link to leave by; nil: the one the next hop is on.
  public let device: InterfaceName?
  /// In bytes.
  public let mtu: UInt32?

  init(_ keys: Keys) throws(CNIError) {
    name = try keys.string("name")
    guard let subnet = try keys.network("subnet") else {
      throw keys.invalid("subnet", "is required: the peer's pod subnet")
    }
    self.subnet = subnet
    via = try keys.addresses("via", subnet.family)
    guard !via.isEmpty else { throw keys.invalid("via", "is required: the peer's address") }
    device = try keys.parsed("dev", as: "an interface name", InterfaceName.init)
    mtu = try keys.int("mtu", in: 68...65535).map { UInt32($0) }
  }

  /// The part of a network that no node has.
  init(restOf network: IPPrefix) {
    name = nil
    subnet = network
    via = []
    device = nil
    mtu = nil
  }

  public var isRest: Bool { via.isEmpty }

  /// A peer as the cluster file has it.
  public init(_ peer: ClusterFile.Peer) {
    name = peer.name
    subnet = peer.subnet
    via = peer.via
    device = nil
    mtu = nil
  }
}

extension Peer: CustomStringConvertible {
  /// The peer as a message names it.
  public var description: String {
    if isRest { return "the rest of network \(subnet)" }
    return "peer \(name.map { "\($0) " } ?? "")(\(subnet))"
  }
}
