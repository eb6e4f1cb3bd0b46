import Addresses
import CNI
import CNetlink
import Embedded
import Netlink

/// The node's own address in a pod subnet, on the bridge, through which the pods reach the world.
public struct Gateway: Equatable {
  /// The gateway's address with the subnet's prefix length.
  public let prefix: IPPrefix

  public init(_ prefix: IPPrefix) { self.prefix = prefix }

  /// Whether a bridge cannot have an address beside the gateway's.
  fileprivate func excludes(_ other: IPPrefix, alone: Bool) -> Bool {
    prefix.overlaps(other) || alone && prefix.family == .v4 && other.family == .v4
  }

  /// The gateways of a result's addresses, each once.
  public static func all(of ips: [ResultIP]) -> [Gateway] {
    var gateways: [Gateway] = []
    for ip in ips {
      guard let address = ip.gateway else { continue }
      let gateway = Gateway(IPPrefix(address, length: ip.address.length))
      if !gateways.contains(gateway) { gateways.append(gateway) }
    }
    return gateways
  }

  /// The address families that occur among a result's addresses.
  public static func families(of ips: [ResultIP]) -> [IPAddress.Family] {
    [.v4, .v6].filter { family in ips.contains { $0.address.family == family } }
  }
}

extension Node {
  /// Puts gateway addresses on the bridge; those that are there stay as they are.
  /// Equivalent to: `ip address add PREFIX dev BRIDGE nodad`.
  ///
  /// Another address of the bridge in the subnet is another gateway: an error, unless `force` replaces
  /// it. A subnet with an address of another link is an error.
  /// - Parameter alone: whether another IPv4 address is one in whatever subnet, as the reference
  ///   `bridge` has it.
  /// - Parameter undo: gets the requests that restore the addresses, before they are changed.
  public borrowing func setGateways(
    _ gateways: [Gateway], on bridge: Link, force: Bool = false, alone: Bool = false,
    undo: ([Request]) -> Void
  ) throws(CNIError) {
    guard !gateways.isEmpty else { return }
    let present = try kernel.addresses(of: bridge.index)
    var batch: [Request] = []
    var reverse: [Request] = []
    for gateway in gateways where !present.contains(where: { $0.prefix == gateway.prefix }) {
      for other in present
      where gateway.excludes(other.prefix, alone: alone)
        && !gateways.contains(Gateway(other.prefix)) && !batch.contains(.deleteAddress(other))
      {
        guard force else { throw gateway.isExcluded(by: other.prefix, on: bridge.name) }
        batch.append(.deleteAddress(other))
        reverse.append(.replaceAddress(other))
      }
      let address = InterfaceAddress(prefix: gateway.prefix, index: bridge.index, skipsDAD: true)
      batch.append(.replaceAddress(address))
      reverse.append(.deleteAddress(address))
    }
    if batch.isEmpty { return }
    let missing = gateways.filter { gateway in
      !present.contains { $0.prefix == gateway.prefix }
    }
    try refuseSubnetsInUse(by: missing, besides: bridge.index)
    undo(reverse.reversed())
    try kernel.perform(batch)
  }

  /// CHECK of gateway addresses.
  /// - Throws: error 102 naming the one that is missing.
  public borrowing func check(_ gateways: [Gateway], on bridge: Link) throws(CNIError) {
    let present = try kernel.addresses(of: bridge.index)
    for gateway in gateways where !present.contains(where: { $0.prefix == gateway.prefix }) {
      throw CNIError(
        .checkFailed, "the gateway address \(gateway.prefix) is missing from \(bridge.name)")
    }
  }
}
