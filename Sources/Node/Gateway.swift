// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import Netlink

/// The node's own address in a pod subnet, on the bridge, through which the pods reach other networks.
public struct Gateway: Equatable {
  /// The gateway's address with the subnet's prefix length.
  public let prefix: IPPrefix

  public init(_ prefix: IPPrefix) { self.prefix = prefix }

  /// Whether a link with this gateway must not have the other address too.
  func excludes(_ other: IPPrefix, alone: Bool) -> Bool {
    // The kernel's own link-local address may be beside a link-local gateway.
    prefix.overlaps(other) && !prefix.address.isLinkLocal
      || alone && prefix.family == .v4 && other.family == .v4
  }

  /// The gateways of a result's addresses, each once.
  public static func all(of ips: [ResultIP]) -> [Gateway] {
    var gateways: [Gateway] = []
    for ip in ips {
      guard let address = ip.gateway, address.family == ip.address.family else { continue }
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
  /// Puts gateway addresses on a link, unless they are there. Also sets the bridge's MAC address explicitly:
  /// otherwise a bridge takes that of a port, and all pods lose their gateway when that port goes. Equivalent
  /// to: `ip link set BRIDGE address MAC`, `ip address add PREFIX dev LINK nodad`.
  ///
  /// If the link has another address of the subnet, that is an error, unless `force` replaces the address. If
  /// another link has an address of the subnet, that is an error too. IPv6 link-local gateways are exempt.
  /// - Parameters:
  ///   - alone: whether any other IPv4 address of the link is an error, in any subnet, as for the reference
  ///     `bridge`.
  ///   - undo: gets the requests that restore the addresses, before they are changed.
  /// - Throws: error 7 if another link has an address of the subnet, 101 for another gateway, 100 if the
  ///   kernel refuses, as an IPv6 address while IPv6 is off.
  public borrowing func setGateways(
    _ gateways: [Gateway], on gatewayLink: GatewayLink, force: Bool = false, alone: Bool = false,
    undo: ([Request]) -> Void
  ) throws(CNIError) {
    guard !gateways.isEmpty else { return }
    let link = gatewayLink.link
    let present = try kernel.addresses(of: link.index)
    let missing = gateways.filter { gateway in !present.contains { $0.prefix == gateway.prefix } }
    if missing.isEmpty { return }
    var others: [InterfaceAddress] = []
    for other in present where !gateways.contains(Gateway(other.prefix)) {
      guard let gateway = missing.first(where: { $0.excludes(other.prefix, alone: alone) }) else {
        continue
      }
      guard force else { throw gateway.conflict(with: other.prefix, on: link.name) }
      others.append(other)
    }
    try refuseSubnetsInUse(by: missing, besides: link.index)
    var restore: [Request] = []
    var batch: [Request] = []
    for gateway in missing {
      let address = InterfaceAddress(prefix: gateway.prefix, index: link.index, skipsDAD: true)
      restore.append(.deleteAddress(address))
      batch.append(.replaceAddress(address))
    }
    var removals: [Request] = []
    for other in others {
      restore.append(.replaceAddress(other))
      removals.append(.deleteAddress(other))
    }
    undo(restore)
    // Another ADD may replace the same addresses at the same time.
    try kernel.performIfPresent(removals)
    if let mac = gatewayLink.bridge.mac {
      // Another address first: in Linux 5.10 a bridge without ports to which its own address is set again
      // ignores frames to that address.
      var other = mac.bytes
      other[5] ^= 1
      let bridge = LinkReference.index(gatewayLink.bridge.index)
      batch.insert(.changeLink(bridge, LinkChange(mac: mac)), at: 0)
      batch.insert(.changeLink(bridge, LinkChange(mac: MACAddress(bytes: other))), at: 0)
    }
    do throws(CNIError) {
      // Before the addresses: later ADDs find the addresses and would skip this.
      if missing.contains(where: { $0.prefix.family == .v6 }) {
        try Forwarding.keepLearnedRoutes(on: self)
      }
      try kernel.perform(batch)
    } catch {
      throw Gateway.errorWithoutIPv6(for: missing, on: link) ?? error
    }
  }

  /// CHECK of gateway addresses.
  /// - Throws: error 102 naming the one that is missing, 100 if the kernel refuses.
  public borrowing func check(_ gateways: [Gateway], on gatewayLink: GatewayLink) throws(CNIError) {
    let present = try kernel.addresses(of: gatewayLink.link.index)
    for gateway in gateways where !present.contains(where: { $0.prefix == gateway.prefix }) {
      throw CNIError(
        .checkFailed,
        "the gateway address \(gateway.prefix) is missing from \(gatewayLink.link.name)")
    }
  }
}

extension Gateway {
  /// The error for a node on which IPv6 is off, with the remedy; nil if IPv6 is on.
  fileprivate static func errorWithoutIPv6(for gateways: [Gateway], on link: Link) -> CNIError? {
    guard let gateway = gateways.first(where: { $0.prefix.family == .v6 }),
      !Node.hasIPv6 || Sysctl.read("net/ipv6/conf/\(link.name)/disable_ipv6") == "1"
    else { return nil }
    return CNIError(
      .kernel,
      "IPv6 is off on the node: the link \(link.name) cannot have the address \(gateway.prefix)",
      details: Node.hasIPv6
        ? "give the pods IPv4 addresses only, or turn IPv6 on: "
          + "sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0"
        : Pod.needsIPv4)
  }
}
