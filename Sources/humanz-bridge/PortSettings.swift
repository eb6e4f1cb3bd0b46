// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded
import Netlink
import Node

/// The settings of an attachment's port of the bridge.
struct PortSettings {
  /// Whether the bridge may send a frame back through the port it came from, so that a pod reaches itself.
  let hairpinMode: Bool
  /// Whether the port reaches only the bridge itself and ports that are not isolated.
  let portIsolation: Bool
  /// The VLANs of the port; nil if the keys ask for none.
  let vlans: PortVLANs?

  /// - Throws: error 7 naming the key.
  init(_ keys: Keys) throws(CNIError) {
    hairpinMode = try keys.bool("hairpinMode") ?? false
    portIsolation = try keys.bool("portIsolation") ?? false
    vlans = try PortVLANs(keys)
  }

  /// The requests that configure a new port, without its VLANs.
  func requests(_ port: LinkReference) -> [Request] {
    let settings = BridgePort(
      hairpin: hairpinMode ? true : nil, isolated: portIsolation ? true : nil)
    return settings == BridgePort() ? [] : [.changeBridgePort(port, settings)]
  }

  /// CHECK of the port.
  /// - Throws: error 102 naming the key.
  func verify(_ port: Link, on node: borrowing Node) throws(CNIError) {
    for (key, asked, found) in [
      ("hairpinMode", hairpinMode, port.port?.hairpin),
      ("portIsolation", portIsolation, port.port?.isolated),
    ] where asked && found != true {
      throw CNIError(
        .checkFailed, "the link \(port.name) is not set as the key \"\(key)\" asks")
    }
    guard let vlans else { return }
    if let missing = vlans.missing(in: try node.kernel.bridgeVLANs(of: port.index)) {
      throw CNIError(
        .checkFailed, "the link \(port.name) is not in VLAN \(missing) as the keys ask")
    }
  }
}
