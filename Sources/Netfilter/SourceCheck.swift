// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink

/// Lets a pod send only from its own hardware address. Frames from another address are dropped at the
/// node's end of its pair, before the bridge sees them.
///
/// A port has a chain of its own at the link's ingress hook, so that it costs other ports nothing:
///
///     table netdev humanz {
///       chain veth0123456789a {
///         type filter hook ingress device "veth0123456789a" priority filter; policy accept;
///         ether saddr != 02:00:00:00:00:01 drop comment "humanz:mynet:container:eth0"
///       }
///     }
public struct SourceCheck: Sendable {
  private let chain: Chain
  private let rule: Rule

  /// The check of a port.
  /// - Parameters:
  ///   - port: the node's end of the pair; it must exist when the check is installed.
  ///   - mac: the pod's.
  ///   - comment: names the attachment, at most 253 bytes.
  public init(port: InterfaceName, mac: MACAddress, comment: String) {
    chain = Chain(
      family: .netdev, table: tableName, name: "\(port)", type: "filter",
      hook: UInt32(NF_NETDEV_INGRESS.rawValue), priority: 0, device: port)
    rule = Rule(comment: comment, expressions: .sourceIsNot(mac) + [.verdict(NF_DROP)])
  }

  /// Whether chain and rule are in place. Costs one request.
  /// - Throws: if the ruleset cannot be read.
  public func isInstalled(_ socket: borrowing NetfilterSocket) throws(NetlinkError) -> Bool {
    let installed = try socket.rules(of: chain)
    return installed.count == 1 && rule.isInstalled(as: installed[0])
  }

  /// Makes the chain and its rule, in place of what a port of that name had before.
  ///
  /// Equivalent to: `nft add rule netdev humanz PORT ether saddr != MAC drop`.
  /// - Throws: if the kernel refuses, as without the port or without nf_tables for `netdev`; nothing is
  ///   changed then.
  public func install(_ socket: borrowing NetfilterSocket) throws(NetlinkError) {
    try socket.update { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      let old = try socket.rules(of: chain)
      return [.addTable(.netdev), .addChain(chain)]
        + old.map { .deleteRule($0, of: chain) } + [.addRule(rule, to: chain)]
    }
  }

  /// Removes a port's chain; the chain and the port may be gone already. Kernels before 6.16 remove it with
  /// the port, later ones keep it for the next port of that name.
  ///
  /// Equivalent to: `nft delete chain netdev humanz PORT`.
  /// - Throws: if the kernel refuses; never because it lacks nf_tables.
  public static func remove(
    port: InterfaceName, _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) {
    try socket.remove(chain: "\(port)", .netdev)
  }

  /// Removes the table if nothing is left in it: kernels before 6.16 remove only the chain of a deleted
  /// port. A missing table is not an error, nor is a kernel without nf_tables.
  /// - Throws: if the kernel refuses.
  public static func removeEmptyTable(
    _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) {
    try socket.removeEmptyTable(.netdev)
  }

  /// The ports that have such a chain; none if the kernel lacks nf_tables.
  /// - Throws: if the ruleset cannot be read.
  public static func ports(
    _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> [InterfaceName] {
    try socket.baseChains().compactMap { chain in
      chain.family == .netdev && chain.table == tableName ? InterfaceName(chain.name) : nil
    }
  }
}
