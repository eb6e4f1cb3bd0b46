// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Netlink
import Node

/// Addresses of pods and gateways in subnets that are no longer in a configuration.
struct OldAddresses {
  private(set) var problems: [Overview.Problem] = []
  private let configured: ConfiguredNetworks

  init(
    _ configured: ConfiguredNetworks, _ reports: [(name: NetworkName, report: LeaseReport)],
    _ ports: [Port]
  ) {
    self.configured = configured
    for (name, report) in reports { check(report, of: name) }
    // A configuration that cannot be read may have any subnet.
    if configured.problems.isEmpty { checkBridges(ports) }
  }

  private mutating func check(_ report: LeaseReport, of name: NetworkName) {
    let networks = configured.networks.filter { $0.name == name }
    guard networks.allSatisfy({ $0.usesOurIPAM }), let ranges = ranges(of: networks) else { return }
    let old = report.rows.filter { row in
      row.stale == nil && row.lease.holder.attachment != nil
        && !ranges.contains { $0.subnet.contains(row.lease.address) }
    }
    guard let first = old.first, let holder = first.lease.holder.attachment else { return }
    let pod = first.pod ?? holder.title
    let others = old.count == 1 ? "" : " (and \(old.count - 1) more)"
    problems.append(
      Overview.Problem(
        sentence:
          "\(name): \(first.lease.address) of \(pod) is in no subnet of the configuration\(others)",
        remedy: "delete the pods with old addresses: `humanz leases \(name)` lists them"))
  }

  /// Looks at the bridges that humanz-bridge has made. On another bridge, and on one over which the node reaches a
  /// router, the node may have addresses of its own.
  private mutating func checkBridges(_ ports: [Port]) {
    guard let node = try? Node(), let links = try? node.kernel.links() else { return }
    let routes = [IPAddress.Family.v4, .v6].flatMap { (try? node.kernel.routes($0)) ?? [] }
    let uplinks = routes.flatMap { $0.nextHops }.filter { $0.gateway != nil }.map { $0.device }
    for bridge in links where bridge.isBridgeOfOurs && !uplinks.contains(bridge.index) {
      let networks = configured.networks.filter { $0.bridge == bridge.name }
      guard let ranges = ranges(of: networks),
        !ports.contains(where: { $0.bridge == bridge.name && isUnknown($0.network) }),
        let addresses = try? node.kernel.addresses(of: bridge.index)
      else { continue }
      for prefix in addresses.map({ $0.prefix })
      where prefix.isOfSubnet && !ranges.contains(where: { $0.allows(prefix) }) {
        let isUsed = ports.contains { $0.addresses.contains { prefix.contains($0) } }
        let first = isUsed ? "delete the pods of \(prefix.network), and then: " : ""
        problems.append(
          Overview.Problem(
            sentence:
              "bridge \(bridge.name) has the address \(prefix), which is in no configured subnet",
            remedy: "\(first)ip address del \(prefix) dev \(bridge.name)"))
      }
    }
  }

  private func isUnknown(_ network: NetworkName?) -> Bool {
    network.map { configured.named($0) == nil } ?? false
  }

  /// The ranges of some networks; nil if those of one are not known, or if there is no network.
  private func ranges(of networks: [ConfiguredNetwork]) -> [AddressRange]? {
    guard !networks.isEmpty else { return nil }
    var ranges: [AddressRange] = []
    for network in networks {
      guard let pools = network.pools, !network.takesRuntimeRanges else { return nil }
      ranges += pools.sets.flatMap { $0.ranges }
    }
    return ranges
  }
}

extension AddressRange {
  /// Whether an address of a bridge belongs to the range. A gateway may be outside of its subnet.
  fileprivate func allows(_ prefix: IPPrefix) -> Bool {
    subnet.overlaps(prefix) || gateway == prefix.address
  }
}

extension IPPrefix {
  /// RFC 3927.
  private static var linkLocal: IPPrefix { IPPrefix(IPAddress(.v4, 0xa9fe_0000), length: 16) }

  /// Whether it is an address with a subnet's prefix: not that of a single host, and not link-local.
  fileprivate var isOfSubnet: Bool {
    length < family.bits && !address.isLinkLocal && !IPPrefix.linkLocal.contains(address)
  }
}
