import Addresses
import CNI
import CNetlink
import Embedded
import Netlink
import Node
import System

extension BridgeConfiguration {
  /// What makes an attachment's port as the keys ask but for VLANs: hairpin and isolation.
  func portSettings(_ port: LinkReference) -> [Request] {
    let settings = BridgePort(
      hairpin: hairpinMode ? true : nil, isolated: portIsolation ? true : nil)
    return settings == BridgePort() ? [] : [.changeBridgePort(port, settings)]
  }
}

/// What VLANs ask of the bridge.
extension Node {
  /// Turns VLAN filtering of a bridge on.
  /// - Throws: error 2 where the kernel was built without that.
  borrowing func filterVLANs(of bridge: Link) throws(CNIError) {
    let failures = try kernel.failures(performing: [.filterVLANs(bridge: .name(bridge.name))])
    guard let error = failures.first?.error else { return }
    guard error.errno == .notSupported else { throw CNIError(error) }
    throw CNIError(
      .unsupportedField, "keys \"vlan\" and \"vlanTrunk\" need VLAN filtering of bridges",
      details: "\(error); the kernel was built without CONFIG_BRIDGE_VLAN_FILTERING")
  }

  /// The link that the gateway's address goes to: the bridge or, where the pods are in a VLAN, the
  /// link `<bridge>.<vlan>`, which is made if need be.
  borrowing func gatewayLink(
    of bridge: Link, _ configuration: BridgeConfiguration, _ network: NetworkName,
    undo: inout Undo
  ) throws(CNIError) -> Link {
    guard let vlan = configuration.vlans?.access else { return bridge }
    let name = try BridgeConfiguration.gatewayName(configuration.bridge, vlan: vlan)
    if let link = try kernel.link(name) {
      guard link.vlanID == vlan && link.peerIndex == bridge.index || link.kind == "veth" else {
        throw CNIError(
          .exists,
          "the node's link \(name), which is to be the gateway of VLAN \(vlan), is another",
          details: "it is of kind \(link.kind ?? "physical")")
      }
      return link
    }
    undo.push(.nodeUnlessUsed(network, bridge: bridge.index, [.deleteLink(.name(name))]))
    let failures = try kernel.failures(performing: [
      .addBridgeVLAN(bridge.index, BridgeVLAN(vlan...vlan), onBridge: true),
      .addVLAN(name, parent: bridge.index, id: vlan, mac: bridge.mac, mtu: bridge.mtu),
      .changeLink(.name(name), LinkChange(up: true)),
    ])
    // Another ADD may make it at the same time.
    if let failure = failures.first(where: { !$0.error.exists }) { throw CNIError(failure.error) }
    guard let link = try kernel.link(name) else {
      throw CNIError(.kernel, "the link \(name) went away as it was made")
    }
    return link
  }
}

extension BridgeConfiguration {
  /// The name of the link in a VLAN of the bridge, as the reference `bridge` has it.
  /// - Throws: error 7 where it is too long for a link's.
  static func gatewayName(
    _ bridge: InterfaceName, vlan: UInt16
  ) throws(CNIError) -> InterfaceName {
    guard let name = InterfaceName("\(bridge).\(vlan)") else {
      throw CNIError(
        .invalidConfiguration, "keys \"bridge\" and \"vlan\": \(bridge).\(vlan) is no link's name",
        details: "a link's name has at most 15 bytes")
    }
    return name
  }
}
