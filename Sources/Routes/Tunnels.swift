// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netfilter
import Netlink
import Node

/// A node's part of an overlay: the device, the check of what peers send, and the routes to peers.
final class Tunnels {
  private let overlay: Overlay
  private let check: TunnelCheck
  private var device: OverlayDevice
  /// This node's IPv4 address in its pod subnet. The node's own packets to a peer's pods leave with it:
  /// the answer to another address would not come back through the overlay. For IPv6 the kernel chooses
  /// the address that is nearest to the pod's (RFC 6724).
  private let gateway: IPAddress?
  /// The links over which peers are reached.
  private var uplinks: [Link] = []
  private var followsPathMTU = OverlayDevice.followsPathMTU
  /// False after `repair` has failed to make the check or the device: then the peers' old routes stay.
  private(set) var isUsable = true

  /// - Parameter own: the subnets of this node's own pods.
  /// - Returns: nil if no peer is reached through the overlay.
  init?(
    _ overlay: Overlay, of routed: RoutedNetwork, to peers: [Peer], own: [IPPrefix],
    by table: RouteTable, _ node: borrowing Node
  ) throws(CNIError) {
    var uplinks: [Link] = []
    var mtu = Tunnels.leastMTU
    var isNeeded = false
    for peer in peers
    where Tunnels.carries(
      peer, overlay, isOnLink: peer.via.contains { table.link(of: $0, over: nil) != nil })
    {
      isNeeded = true
      guard let (address, outer) = Tunnels.outerRoute(to: peer, by: table),
        let index = outer.nextHops.first?.device
      else { continue }
      if !uplinks.contains(where: { $0.index == index }),
        let uplink = try node.kernel.link(at: index)
      {
        uplinks.append(uplink)
      }
      mtu = max(mtu, Tunnels.mtu(of: peer, to: address, outer, uplinks))
    }
    guard isNeeded else { return nil }
    self.overlay = overlay
    self.uplinks = uplinks
    check = overlay.check(of: peers, network: routed.name)
    var gateway = table.routes.first { route in
      route.isFromKernel && route.source != nil
        && routed.network.contains { $0.contains(route.destination) }
    }?.source
    // The kernel's route may be among those to repair.
    if gateway == nil, let prefix = own.first(where: { $0.family == .v4 && $0 != $0.network }),
      try node.kernel.addresses().contains(where: { $0.prefix == prefix })
    {
      gateway = prefix.address
    }
    self.gateway = gateway
    device = OverlayDevice(
      link: try node.kernel.link(Overlay.device), vxlan: overlay.vxlan,
      mtu: min(Int(mtu) + 1, 65535))
  }

  // MARK: - Routes

  /// Whether a peer is reached through the overlay.
  func carries(_ peer: Peer, isOnLink: Bool) -> Bool {
    Tunnels.carries(peer, overlay, isOnLink: isOnLink)
  }

  @inline(never)
  private static func carries(_ peer: Peer, _ overlay: Overlay, isOnLink: Bool) -> Bool {
    // A peer that names a link is reached over that link.
    if peer.isRest || peer.device != nil { return false }
    return overlay.mode == .always || !isOnLink
      || peer.via.contains { $0.family != peer.subnet.family }
  }

  /// A peer's route through the overlay, and the uplink that it leads over; nil if no address of the
  /// peer can be reached.
  func route(to peer: Peer, by table: RouteTable) -> (route: Route, link: LinkIndex?)? {
    guard let (address, outer) = Tunnels.outerRoute(to: peer, by: table) else { return nil }
    let mtu = Tunnels.mtu(of: peer, to: address, outer, uplinks)
    let hop = NextHop(
      device: device.link?.index,
      // A packet of IPv6's minimum MTU, 1280 bytes, may not fit the link with the tunnel's headers.
      encapsulation: overlay.encapsulation(
        to: address, dontFragment: followsPathMTU && mtu > Tunnels.leastMTU))
    return (
      Route(
        destination: peer.subnet, nextHops: [hop], mtu: mtu,
        source: peer.subnet.family == .v4 ? gateway : nil), outer.nextHops.first?.device
    )
  }

  @inline(never)
  private static func outerRoute(
    to peer: Peer, by table: RouteTable
  ) -> (address: IPAddress, route: Route)? {
    for address in peer.via {
      if let route = table.outerRoute(to: address) { return (address, route) }
    }
    return nil
  }

  /// The largest packet that goes through the tunnel to a peer without being fragmented.
  @inline(never)
  private static func mtu(
    of peer: Peer, to address: IPAddress, _ outer: Route, _ uplinks: [Link]
  ) -> UInt32 {
    if let mtu = peer.mtu { return mtu }
    var whole: UInt32 = 1500
    for uplink in uplinks where uplink.index == outer.nextHops.first?.device {
      whole = UInt32(clamping: uplink.mtu)
    }
    let overhead = VXLAN.overhead(over: address.family)
    return max(outer.mtu ?? whole, leastMTU + overhead) - overhead
  }

  /// The minimum MTU of IPv6 (RFC 8200 section 5). Over a link that is too small for it the tunnel's own packets
  /// are fragmented.
  private static var leastMTU: UInt32 { 1280 }

  // MARK: - Device and check

  /// What is wrong, a sentence for each problem.
  func problems() throws(CNIError) -> [String] {
    var problems: [String] = []
    if let problem = device.problem { problems.append(problem) }
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      if try !check.isInstalled(socket) {
        problems.append("the nftables chains overlay and overlay-pods are missing or changed")
      }
    }
    return problems
  }

  /// Makes the check, then the device: no packet is accepted before it can be checked. A device of another port
  /// goes first, because its check goes too.
  func repair(on node: borrowing Node) throws(CNIError) {
    isUsable = false
    try device.removeOtherPort(check, on: node)
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      try check.install(socket)
    }
    if device.problem != nil {
      device.link = try device.repair(on: node)
      followsPathMTU = OverlayDevice.followsPathMTU
    }
    isUsable = true
  }
}
