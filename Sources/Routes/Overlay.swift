// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import Netfilter
import Netlink
import Node

/// How a node reaches peers through routers that have no routes to pods: the keys `overlay`, `overlayPort`,
/// `overlayId` and `overlaySource`.
///
/// One VXLAN device serves all networks of a node. Each peer is one route, which names the peer's address.
public struct Overlay {
  /// Which peers are reached through the overlay.
  public enum Mode: Equatable {
    case never
    /// Those that are on no segment of this node, or have an address of another family than their subnet.
    case offLink
    case always
  }

  /// The name of the VXLAN device.
  public static let device = InterfaceName("humanz-vx")!

  /// Which peers are reached through it.
  public let mode: Mode
  /// The device's port and form.
  public let vxlan: VXLAN
  /// The VXLAN network identifier.
  public let id: UInt32
  /// This node's own addresses in the outer packets; the kernel chooses for a family without one.
  private let sources: [IPAddress]

  /// - Returns: nil for `never`.
  /// - Throws: error 7 naming the key.
  @inline(never)
  static func read(_ keys: Keys) throws(CNIError) -> Overlay? {
    let port = try keys.int("overlayPort", in: 1...65535) ?? Int(VXLAN.defaultPort)
    let id = try keys.int("overlayId", in: 0...0xff_ffff) ?? 72
    let sources = try keys.addresses("overlaySource", nil)
    guard sources.count < 2 || sources.count == 2 && sources[0].family != sources[1].family else {
      throw keys.invalid("overlaySource", "has several addresses of one family")
    }
    let mode = try keys.parsed(
      "overlay", as: "\"never\", \"off-link\" or \"always\""
    ) { (text: String) -> Mode? in
      switch text {
      case "never": .never
      case "off-link": .offLink
      case "always": .always
      default: nil
      }
    }
    guard let mode, mode != .never else { return nil }
    return Overlay(
      mode: mode, vxlan: VXLAN(port: UInt16(port)), id: UInt32(id), sources: sources)
  }

  /// The encapsulation for a peer's address.
  func encapsulation(to address: IPAddress, dontFragment: Bool) -> Encapsulation {
    Encapsulation(
      id: id, destination: address, source: sources.first { $0.family == address.family },
      dontFragment: dontFragment && address.family == .v4)
  }

  /// The check of the packets that peers send.
  @inline(never)
  func check(of peers: [Peer], network: NetworkName) -> TunnelCheck {
    TunnelCheck(
      network: network.description, port: vxlan.port, id: id,
      sources: peers.flatMap { peer in
        peer.via.map { TunnelCheck.Source(peer: $0, pods: peer.subnet) }
      })
  }

  /// Removes the rules that a network without attachments has for the overlay, and with the last network the
  /// device.
  /// - Throws: error 11 if another process holds the node's lock for 10 s, 5 if its file cannot be opened,
  ///   100 if the kernel refuses.
  public static func remove(of network: NetworkName, _ node: borrowing Node) throws(CNIError) {
    let lock = try NodeLock(.exclusive)
    var isUnused = false
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      isUnused = try TunnelCheck.remove(network: network.description, socket)
    }
    // The sysctl first: it does not wait. A request about a link waits for all deletions of links.
    if isUnused, Sysctl.read("net/ipv4/conf/\(device)/forwarding") != nil,
      try node.kernel.link(device)?.vxlan?.isOverlayDevice == true
    {
      try node.kernel.performIfPresent([.deleteLink(.name(device))])
    }
    lock.unlock()
  }
}

extension VXLAN {
  /// Whether it has the form of the overlay's device.
  fileprivate var isOverlayDevice: Bool { isExternal && isGPE }
}

/// The overlay's device as it is and as it should be.
struct OverlayDevice {
  /// nil if there is none.
  var link: Link?
  let vxlan: VXLAN
  /// One more than the largest packet of the network's routes over it. Another network may need more. When a
  /// device's MTU is changed, the kernel changes the IPv6 routes that have the same MTU: so none has it.
  let mtu: Int

  /// Whether the node reports to pods a smaller path MTU that a router has reported to it. Otherwise IPv4
  /// packets of the tunnel must allow fragmentation: larger ones would be lost without an error.
  static var followsPathMTU: Bool { Sysctl.read(pathMTU) == "1" }

  private static var pathMTU: String { "net/ipv4/ip_forward_use_pmtu" }

  /// What is wrong with it, a sentence; nil for nothing.
  var problem: String? {
    guard let link else { return "the overlay's device \(Overlay.device) is missing" }
    if link.vxlan != vxlan {
      guard let other = link.vxlan, other.isOverlayDevice else {
        return "the overlay's device \(link.name) is a link that humanz did not make"
      }
      return
        "the overlay's device \(link.name) has port \(other.port), and \"overlayPort\" is \(vxlan.port)"
    }
    if !link.isUp { return "the overlay's device \(link.name) is down" }
    if link.mtu < mtu {
      return "the overlay's device \(link.name) has MTU \(link.mtu), less than \(mtu)"
    }
    return nil
  }

  /// Deletes a device of another port.
  /// - Throws: error 101 if another network uses it, and for a link of another kind.
  @inline(never)
  mutating func removeOtherPort(_ check: TunnelCheck, on node: borrowing Node) throws(CNIError) {
    let name = Overlay.device
    guard let index = link?.index, link?.vxlan != vxlan else { return }
    guard let other = link?.vxlan, other.isOverlayDevice else {
      throw CNIError(
        .exists, "the link \(name) was not made by humanz, and the overlay needs its name",
        details: "rename or delete it: `ip link delete \(name)`")
    }
    var user: String?
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      user = try check.otherNetwork(socket)
    }
    if let user {
      throw CNIError(
        .exists,
        """
        key "overlayPort" is \(vxlan.port), but network \(user) uses the overlay's device \(name) with \
        port \(other.port)
        """)
    }
    try node.kernel.performIfPresent([.deleteLink(.index(index))])
    link = nil
  }

  /// Makes the device or changes it. Its MTU never becomes smaller: another network may need it.
  /// Equivalent to: `ip link add humanz-vx type vxlan external gpe dstport 4790`, `ip link set … up`,
  /// `sysctl -w net.ipv4.ip_forward_use_pmtu=1`.
  @inline(never)
  func repair(on node: borrowing Node) throws(CNIError) -> Link? {
    let name = Overlay.device
    var mtu = max(mtu, link?.mtu ?? 0)
    if link == nil {
      for failure in try node.kernel.failures(performing: [.addVXLAN(name, vxlan, mtu: mtu)]) {
        guard failure.error.exists else { throw CNIError(failure.error) }
        // Another ADD has made it at the same time.
        mtu = max(mtu, try node.kernel.link(name)?.mtu ?? 0)
      }
      // Only when the device is made: a person may turn the sysctl off later.
      try? Sysctl.write(OverlayDevice.pathMTU, "1")
    }
    try node.kernel.perform([
      .changeLink(.name(name), LinkChange(withoutLinkLocal: true)),
      .changeLink(.name(name), LinkChange(up: true, mtu: mtu)),
    ])
    return try node.kernel.link(name)
  }
}
