// SPDX-License-Identifier: Apache-2.0
import Addresses
import Netlink

// What comparing a route with the wanted one gives; `NodeRoutes.findings` compares them all.

extension NodeRoutes {
  /// The state of a destination's route.
  public enum State {
    case installed, missing
    /// Ours, but with another next hop, link, tunnel, source address, kind or MTU.
    case different
    /// A next hop is on no link of the node, the link that `dev` names is missing, or no route leads to the
    /// other end of the tunnel.
    case notOnLink
    /// Another program's route has the destination, and stays. Or another peer has the same subnet.
    case conflicting
    /// The peer gets no route: its subnet is outside of the network, this node's, or inside of the prefix of
    /// one of this node's links.
    case refused
    /// Ours, and no peer needs it any more.
    case stale
    /// Another program's, within the network.
    case foreign
  }

  /// A destination and the state of its route.
  public final class Finding {
    /// How the route compares with the wanted one.
    public let state: State
    /// nil for a route that no peer needs.
    public let peer: Peer?
    /// The kernel's route, or the missing one.
    public let route: Route
    /// A sentence for messages; empty if the route is right, or another program's that is in nobody's way.
    public let message: String
    /// The request that repairs it; nil if we cannot or must not repair it.
    let repair: Request?

    /// Whether an ADD or `humanz sync` repairs it.
    public var isRepairable: Bool { repair != nil }

    /// A finding.
    /// - Parameter repair: the request that repairs it; nil if we cannot or must not repair it.
    public init(
      _ state: State, _ peer: Peer?, _ route: Route, _ message: String = "",
      repair: Request? = nil
    ) {
      self.state = state
      self.peer = peer
      self.route = route
      self.message = message
      self.repair = repair
    }
  }
}

extension NodeRoutes.State: CustomStringConvertible {
  public var description: String {
    switch self {
    case .installed: "installed"
    case .missing: "missing"
    case .different: "different"
    case .notOnLink: "not on-link"
    case .conflicting: "conflicting"
    case .refused: "refused"
    case .stale: "stale"
    case .foreign: "foreign"
    }
  }
}

extension Peer {
  /// The route to the peer by all of its addresses or by some.
  @inline(never)
  func route(via hops: [IPAddress]? = nil, device: LinkIndex? = nil) -> Route {
    Route(
      destination: subnet, kind: isRest ? .unreachable : .unicast,
      nextHops: (hops ?? via).map { NextHop(gateway: $0, device: device) }, mtu: mtu)
  }
}

extension Route {
  var isOurs: Bool { proto == Route.humanz }

  /// Whether the kernel made it for an address of a link, with which it comes and goes.
  var isFromKernel: Bool { proto == Route.kernel }

  /// Whether it sends packets as a route to a peer does. Protocol and metric do not count.
  @inline(never)
  func isEquivalent(to wanted: Route) -> Bool {
    guard kind == wanted.kind, mtu == wanted.mtu, nextHops.count == wanted.nextHops.count,
      wanted.source == nil || source == wanted.source
    else { return false }
    // The kernel may have the next hops in another order.
    for hop in nextHops {
      let isWanted = wanted.nextHops.contains { other in
        hop.gateway == other.gateway && hop.encapsulation == other.encapsulation
          && (other.device == nil || hop.device == other.device)
      }
      guard hop.weight == 1, isWanted else { return false }
    }
    return true
  }
}
