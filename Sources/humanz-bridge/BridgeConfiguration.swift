import CNI

/// The keys of `humanz-bridge`, read once.
struct BridgeConfiguration {
  /// The bridge's name.
  let bridge: InterfaceName
  /// In bytes; nil: the bridge's own, or that of the node's default route for a new bridge.
  let mtu: Int?
  /// Whether the bridge gets the gateway's address.
  let isGateway: Bool
  /// Whether the pod's default route goes through the bridge; implies `isGateway`.
  let isDefaultGateway: Bool
  /// The IPAM plugin that is delegated to; nil: links only.
  let ipam: String?
  /// Replaces the delegate's DNS.
  let dns: JSONObject?

  /// - Throws: error 7 naming the key.
  init(_ configuration: NetworkConfiguration) throws(CNIError) {
    let keys = configuration.keys
    bridge =
      try keys.parsed("bridge", as: "an interface name", InterfaceName.init)
      ?? InterfaceName("cni0")!
    mtu = try keys.int("mtu", in: 0...65535).flatMap { $0 == 0 ? nil : $0 }
    isDefaultGateway = try keys.bool("isDefaultGateway") ?? false
    isGateway = try keys.bool("isGateway") ?? false || isDefaultGateway
    ipam = try configuration.ipam?.string("type")
    dns = try keys.keys("dns")?.object
  }
}
