// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink
import Node

/// The keys of `humanz-bridge`, read once. Most are the reference `bridge`'s, with the same meanings and
/// defaults.
struct BridgeConfiguration {
  /// The bridge's name.
  let bridge: InterfaceName
  /// In bytes; nil: the bridge's MTU, or for a new bridge that of the default route's link.
  let mtu: Int?
  /// The pod's MAC address; nil: one derived from the attachment.
  let mac: MACAddress?
  /// The queues of each end of the pair.
  let queues: Int
  /// Whether the bridge is promiscuous, which also lets a pod reach itself. See `hairpinMode`.
  let promiscMode: Bool
  /// Whether frames between the pods of the node pass the node's iptables and nftables rules.
  let bridgeNetfilter: Bool
  /// Whether frames from another MAC address than the pod's are dropped.
  let macspoofchk: Bool
  /// Whether the pod's end stays down.
  let disableContainerInterface: Bool
  /// Whether the plugin's own process deletes links and waits for the kernel's answer. See `LinkDeletion`.
  let waitForDelete: Bool
  /// The settings of the port.
  let port: PortSettings
  /// What to do with the addresses that an IPAM plugin returns.
  let addressing: AddressingConfiguration
  let log: Log
  /// Replaces the delegate's DNS; nil if the key is absent or empty.
  let dns: JSONObject?

  static let defaultBridge = InterfaceName("cni0")!

  static func bridgeName(_ keys: Keys) throws(CNIError) -> InterfaceName {
    try keys.parsed("bridge", as: "an interface name of at most 15 bytes", InterfaceName.init)
      ?? defaultBridge
  }

  /// - Throws: error 7 naming the key, or 4 naming the variable.
  init(_ invocation: Invocation) throws(CNIError) {
    let keys = invocation.configuration.keys
    bridge = try BridgeConfiguration.bridgeName(keys)
    mtu = try keys.int("mtu", in: 0...65535).flatMap { $0 == 0 ? nil : $0 }
    mac = try MACAddress.requested(by: invocation)
    queues = try keys.int("queues", in: 1...4096) ?? 1
    promiscMode = try keys.bool("promiscMode") ?? false
    bridgeNetfilter = try keys.bool("bridgeNetfilter") ?? false
    log = invocation.configuration.log
    macspoofchk = try keys.bool("macspoofchk") ?? false
    disableContainerInterface = try keys.bool("disableContainerInterface") ?? false
    waitForDelete = try keys.bool("waitForDelete") ?? false
    port = try PortSettings(keys)
    addressing = try AddressingConfiguration(invocation.configuration)
    dns = try keys.dns()?.nonEmpty
    if port.hairpinMode && promiscMode {
      throw keys.invalid(
        "hairpinMode", "and \"promiscMode\" cannot both be true: either lets a pod reach itself")
    }
    if disableContainerInterface, try invocation.configuration.ipam != nil {
      throw keys.invalid(
        "disableContainerInterface",
        "cannot be true with \"ipam\": addresses need a link that is up")
    }
  }
}

extension JSONObject {
  /// The object; nil if it is `{}` or all its members are empty, since it then replaces nothing.
  var nonEmpty: JSONObject? {
    members.contains { $0.value.isNonEmpty } ? self : nil
  }
}

extension JSON {
  fileprivate var isNonEmpty: Bool {
    switch self {
    case .null: false
    case .string(let text): !text.isEmpty
    case .array(let elements): !elements.isEmpty
    default: true
    }
  }
}
