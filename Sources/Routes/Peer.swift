// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink
import Node

/// Another node: its pod subnet and its addresses. Without addresses it stands for the part of the
/// network that no node has.
public final class Peer {
  /// For messages; nil if the configuration gives none.
  public let name: String?
  /// Its pods' addresses: a prefix without host bits.
  public let subnet: IPPrefix
  /// The node's addresses; several make a multipath route, but not through the overlay.
  public let via: [IPAddress]
  /// The link to leave by; nil: the one the next hop is on.
  public let device: InterfaceName?
  /// The MTU of the route in bytes; nil for what fits the link or the tunnel.
  public let mtu: UInt32?

  /// The most addresses of a peer. Far more than a node has, and far fewer than a message to the kernel has
  /// room for.
  public static let mostNextHops = 64

  /// - Parameter takesAnyFamily: whether the addresses may be of another family than the subnet, as an
  ///   overlay permits.
  init(_ keys: Keys, takesAnyFamily: Bool = false) throws(CNIError) {
    name = try keys.string("name").flatMap { $0.isEmpty ? nil : $0 }
    guard let subnet = try keys.network("subnet") else {
      throw keys.invalid("subnet", "is required: the peer's pod subnet")
    }
    self.subnet = subnet
    via = try keys.addresses("via", takesAnyFamily ? nil : subnet.family)
    guard via.count <= Peer.mostNextHops else {
      throw keys.invalid(
        "via", "has \(via.count) addresses, at most \(Peer.mostNextHops) are possible")
    }
    guard !via.isEmpty else { throw keys.invalid("via", "is required: the peer's address") }
    device = try keys.parsed("dev", as: "an interface name of at most 15 bytes", InterfaceName.init)
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

  /// Whether it stands for the part of the network that no node has.
  public var isRest: Bool { via.isEmpty }

  /// A peer from the cluster file.
  public init(_ peer: ClusterFile.Peer) {
    name = peer.name.isEmpty ? nil : peer.name
    subnet = peer.subnet
    via = peer.via
    device = nil
    mtu = nil
  }
}

/// Peers, and those among them that get no route.
public struct PeerList {
  /// A peer that gets no route, and why.
  public struct Refusal {
    /// The peer that gets no route.
    public let peer: Peer
    /// A sentence for messages.
    public let reason: String
    /// The own subnet that it takes away from this node; nil for another reason.
    let own: IPPrefix?

    init(_ peer: Peer, _ reason: String, own: IPPrefix? = nil) {
      self.peer = peer
      self.reason = reason
      self.own = own
    }
  }

  /// The peers that get routes.
  public var peers: [Peer]
  /// The peers that get none.
  public var refused: [Refusal] = []

  /// A list whose peers all get routes.
  public init(_ peers: [Peer]) { self.peers = peers }

  /// The peers of a network; those outside of it get no route.
  /// - Parameter network: empty if the configuration names none.
  public init(_ peers: [Peer], within network: [IPPrefix]) {
    self.peers = []
    for peer in peers {
      if network.isEmpty || network.contains(where: { $0.contains(peer.subnet) }) {
        self.peers.append(peer)
      } else {
        refused.append(
          Refusal(peer, "\(peer): its subnet is outside of \"network\""))
      }
    }
  }
}

extension Peer: CustomStringConvertible {
  /// The peer as a message names it.
  public var description: String {
    if isRest { return "the unassigned rest of network \(subnet)" }
    return "peer \(name.map { "\($0) " } ?? "")(\(subnet))"
  }
}
