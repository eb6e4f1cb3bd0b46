// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink

// A gateway address gives its bridge a route to the whole subnet. Where another link has an address in
// that subnet the node has two routes to it, and the pods' packets leave by the wrong link.

extension Node {
  /// Refuses gateways whose subnet has an address of another link.
  ///
  /// A wider subnet of another link is allowed unless that link's own address is in the gateway's subnet: the
  /// kernel prefers the longer prefix. The IPv6 link-local subnet is on every link and is allowed too.
  /// - Throws: error 7 naming the link.
  borrowing func refuseSubnetsInUse(
    by gateways: [Gateway], besides bridge: LinkIndex
  ) throws(CNIError) {
    for family in Gateway.families(of: gateways) {
      for other in try kernel.addresses(family: family) where other.index != bridge {
        if let gateway = gateways.first(where: { $0.isDisturbed(by: other) }) {
          throw try subnetInUse(gateway, by: other)
        }
      }
    }
  }

  /// Checks that `setGateways` would succeed. Changes nothing.
  /// - Parameters:
  ///   - bridge: the link that the last ADD put the gateways on; it may be gone.
  ///   - force: as of `setGateways`.
  /// - Throws: error 7 or 101, as `setGateways`.
  public borrowing func checkThatGatewaysFit(
    _ gateways: [Gateway], on bridge: InterfaceName, force: Bool
  ) throws(CNIError) {
    let index = try kernel.link(bridge)?.index
    for family in Gateway.families(of: gateways) {
      let present = try kernel.addresses(family: family)
      let onBridge = present.filter { $0.index == index }.map { $0.prefix }
      for gateway in gateways
      where gateway.prefix.family == family && !onBridge.contains(gateway.prefix) {
        if !force,
          let other = onBridge.first(where: {
            gateway.excludes($0, alone: false) && !gateways.contains(Gateway($0))
          })
        {
          throw gateway.conflict(with: other, on: bridge)
        }
        if let other = present.first(where: { $0.index != index && gateway.isDisturbed(by: $0) }) {
          throw try subnetInUse(gateway, by: other)
        }
      }
    }
  }

  private borrowing func subnetInUse(
    _ gateway: Gateway, by other: InterfaceAddress
  ) throws(CNIError) -> CNIError {
    let link = try kernel.link(at: other.index)?.name.description ?? "link number \(other.index)"
    return CNIError(
      .invalidConfiguration,
      "the subnet \(gateway.prefix.network) is in use: \(link) has the address \(other.prefix)",
      details: "choose another subnet, or remove the address: "
        + "`ip address delete \(other.prefix) dev \(link)`")
  }
}

extension Gateway {
  fileprivate static func families(of gateways: [Gateway]) -> [IPAddress.Family] {
    [.v4, .v6].filter { family in gateways.contains { $0.prefix.family == family } }
  }

  /// Whether another link's address is in the gateway's subnet; false for an IPv6 link-local gateway.
  fileprivate func isDisturbed(by other: InterfaceAddress) -> Bool {
    prefix.contains(other.prefix.address) && !prefix.address.isLinkLocal
  }

  /// The error for a link with an address that excludes the gateway's.
  func conflict(with other: IPPrefix, on link: InterfaceName) -> CNIError {
    CNIError(
      .exists, "the link \(link) already has the address \(other)",
      details: "the configuration's gateway is \(prefix); \"forceAddress\" replaces the address")
  }
}
