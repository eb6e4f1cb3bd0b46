// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink

/// The node's link that has the gateway's addresses: the bridge or, for pods in a VLAN of it, the link
/// `<bridge>.<vlan>`.
public final class GatewayLink {
  /// The link that has the gateway's addresses.
  public let link: Link
  /// The bridge: the link itself if the pods are in no VLAN of their own.
  public let bridge: Link

  private init(_ link: Link, of bridge: Link) {
    self.link = link
    self.bridge = bridge
  }

  /// The name of the link, as the reference `bridge` names it.
  /// - Throws: error 7 if it is too long.
  public static func name(
    on bridge: InterfaceName, vlan: UInt16?
  ) throws(CNIError) -> InterfaceName {
    guard let vlan else { return bridge }
    guard let name = InterfaceName("\(bridge).\(vlan)") else {
      throw CNIError(
        .invalidConfiguration,
        "keys \"bridge\" and \"vlan\": \(bridge).\(vlan) is not a valid link name",
        details: "a link name has at most 15 bytes")
    }
    return name
  }

  /// The link; nil if it is missing. Without a link of that name it is the bridge itself, if the bridge's own
  /// untagged frames are in the VLAN.
  /// - Parameter vlan: the pods' VLAN; nil for the bridge itself.
  /// - Throws: error 101 if another kind of link has its name, 7 if the name is too long.
  public static func find(
    on bridge: Link, vlan: UInt16?, of node: borrowing Node
  ) throws(CNIError) -> GatewayLink? {
    guard let vlan else { return GatewayLink(bridge, of: bridge) }
    guard let link = try node.kernel.link(name(on: bridge.name, vlan: vlan)) else {
      return try node.untaggedVLAN(of: bridge) == vlan ? GatewayLink(bridge, of: bridge) : nil
    }
    // The reference `bridge` joins a veth pair to its bridge instead of making a link of the kind `vlan`.
    guard link.vlanID == vlan && link.peerIndex == bridge.index || link.kind == "veth" else {
      throw CNIError(
        .exists, "the node's link \(link.name) is not the gateway's link of VLAN \(vlan)",
        details: "it is of kind \(link.kind ?? "physical"), expected a VLAN link of \(bridge.name)")
    }
    return GatewayLink(link, of: bridge)
  }

  /// The link, which is made if it is missing.
  ///
  /// Equivalent to: `bridge vlan add dev BRIDGE vid VLAN self`, `ip link add link BRIDGE name BRIDGE.VLAN
  /// type vlan id VLAN`, `ip link set BRIDGE.VLAN up`.
  /// - Parameters:
  ///   - vlan: the pods' VLAN; nil for the bridge itself.
  ///   - network: another attachment to it keeps the link when this ADD is undone.
  /// - Throws: error 101 if another kind of link has its name, 7 if the name is too long, 100 if the kernel
  ///   refuses or the link is deleted meanwhile.
  public static func make(
    on bridge: Link, vlan: UInt16?, for network: NetworkName, of node: borrowing Node,
    undo: inout Undo
  ) throws(CNIError) -> GatewayLink {
    let present = try find(on: bridge, vlan: vlan, of: node)
    // A bridge that was down when it was read is up by now.
    if let present, present.link.isUp || present.link.index == bridge.index { return present }
    let vlan = vlan!
    let name = try name(on: bridge.name, vlan: vlan)
    if present == nil {
      undo.push(.nodeUnlessUsed(network, bridge: bridge.index, [.deleteLink(.name(name))]))
      let failures = try node.kernel.failures(performing: [
        .addBridgeVLAN(bridge.index, BridgeVLAN(vlan...vlan), onBridge: true),
        .addVLAN(name, parent: bridge.index, id: vlan, mac: bridge.mac, mtu: bridge.mtu),
      ])
      // Another ADD may make it at the same time.
      if let failure = failures.first(where: { !$0.error.exists }) { throw CNIError(failure.error) }
    }
    try node.prepareIPv6(of: name)
    try node.kernel.perform([.changeLink(.name(name), LinkChange(up: true))])
    guard let made = try find(on: bridge, vlan: vlan, of: node) else {
      throw CNIError(.kernel, "the link \(name) was deleted during the ADD")
    }
    return made
  }

  /// The VLAN that a port's untagged frames belong to; nil if the bridge filters no VLANs, or its own untagged
  /// frames are in that VLAN: the gateway's addresses are then on the bridge.
  static func vlan(
    of port: Link, on bridge: Link, _ node: borrowing Node
  ) throws(CNIError) -> UInt16? {
    guard bridge.filtersVLANs == true else { return nil }
    let vlan = try node.untaggedVLAN(of: port)
    return try node.untaggedVLAN(of: bridge) == vlan ? nil : vlan
  }
}

extension Node {
  /// The VLAN of the untagged frames that arrive at a bridge, or at a port of one; nil for none.
  fileprivate borrowing func untaggedVLAN(of link: Link) throws(CNIError) -> UInt16? {
    try kernel.bridgeVLANs(of: link.index).first { $0.isPVID }?.ids.lowerBound
  }

  /// Prepares IPv6 of a bridge, or of its link in a VLAN, before it comes up. The node ignores router
  /// advertisements that arrive on it. The link-local address of the link is usable at once, without duplicate
  /// address detection: it derives from a random MAC address.
  ///
  /// Equivalent to: `sysctl -w net.ipv6.conf.LINK.accept_ra=0 net.ipv6.conf.LINK.accept_dad=0`.
  /// - Throws: error 100 if `accept_ra` cannot be changed.
  public borrowing func prepareIPv6(of name: InterfaceName) throws(CNIError) {
    let key = "net/ipv6/conf/\(name)/accept_ra"
    if Sysctl.read(key) != "0" {
      var hasSettings = true
      try kernelSteps { () throws(NetlinkError) in
        do throws(NetlinkError) { try Sysctl.write(key, "0") } catch {
          guard error.isMissing else { throw error }
          hasSettings = false
        }
      }
      // A link whose MTU is too small for IPv6 has no such settings.
      if !hasSettings { return }
    }
    try? Sysctl.write("net/ipv6/conf/\(name)/accept_dad", "0")
  }
}
