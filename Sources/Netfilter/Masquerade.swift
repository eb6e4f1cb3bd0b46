// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink

/// Masquerades traffic of a network's pods that leaves the network: its source becomes the node's
/// address.
///
/// A network has a chain of its own, and each prefix of its pods a rule in it, whose comment names
/// the prefix:
///
///     table inet humanz {
///       chain masquerade-mynet {
///         type nat hook postrouting priority srcnat; policy accept;
///         ip saddr 100.100.0.0/24 ip daddr != 100.100.0.0/16 ip daddr != 224.0.0.0/4 masquerade comment "pods 100.100.0.0/24"
///       }
///     }
///
/// If there are too many exceptions for one rule, each gets a rule that accepts, before the one that
/// masquerades.
public struct Masquerade: Sendable {
  private let chain: Chain
  private let groups: [Group]

  /// The rules of one prefix, in their order; they have one comment.
  private struct Group {
    let comment: String
    let rules: [Rule]

    /// - Parameter except: of the same family.
    init(_ inside: IPPrefix, except: [IPPrefix]) {
      let comment = "pods \(inside.network)"
      let source = [Expression].family(inside.family) + .address(.source, in: inside)
      let whole =
        source + except.flatMap { [Expression].address(.destination, in: $0, false) }
        + [.masquerade]
      if whole.count <= Rule.mostExpressions {
        rules = [Rule(comment: comment, expressions: whole)]
      } else {
        let accepting = except.map { [Expression].address(.destination, in: $0) }
          .map { Rule(comment: comment, expressions: source + $0 + [.verdict(NF_ACCEPT)]) }
        rules = accepting + [Rule(comment: comment, expressions: source + [.masquerade])]
      }
      self.comment = comment
    }

    func isInstalled(among others: [InstalledRule]) -> Bool {
      let others = others.filter { $0.comment == comment }
      return others.count == rules.count
        && zip(rules, others).allSatisfy { $0.isInstalled(as: $1) }
    }
  }

  /// The rules of a network.
  /// - Parameters:
  ///   - network: its name, which becomes part of the chain's.
  ///   - inside: the prefixes that the pods' addresses are in.
  ///   - except: the destinations that are not masqueraded. Multicast groups never are.
  public init(network: String, inside: [IPPrefix], except: [IPPrefix]) {
    chain = Masquerade.chain(of: network)
    groups = inside.map { inside in
      let family = inside.family
      let multicast = IPPrefix(
        IPAddress(family, family == .v4 ? 0xe000_0000 : 0xff << 120),
        length: family == .v4 ? 4 : 8)
      return Group(inside, except: except.filter { $0.family == family } + [multicast])
    }
  }

  private static let prefix = "masquerade-"

  private static func chain(of network: String) -> Chain {
    Chain(
      family: .inet, table: tableName, name: prefix + network, type: "nat",
      hook: NF_INET_POST_ROUTING.rawValue, priority: NF_IP_PRI_NAT_SRC.rawValue)
  }

  /// Whether all rules are in place; false if the kernel lacks nf_tables. Costs one request.
  /// - Throws: if the ruleset cannot be read.
  public func isInstalled(_ socket: borrowing NetfilterSocket) throws(NetlinkError) -> Bool {
    let installed = try socket.rules(of: chain)
    return groups.allSatisfy { $0.isInstalled(among: installed) }
  }

  /// Adds the missing rules, and replaces rules of the same pods that have other exceptions. Changes nothing
  /// if all rules are right. Several processes may do this at once.
  ///
  /// Equivalent to: `nft add rule inet humanz masquerade-NETWORK ip saddr PREFIX ... masquerade`.
  /// - Throws: if the kernel refuses, as without nf_tables or its NAT; nothing is changed then.
  public func install(_ socket: borrowing NetfilterSocket) throws(NetlinkError) {
    if try isInstalled(socket) { return }
    try socket.update { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      let installed = try socket.rules(of: chain)
      var requests: [Request] = [.addTable(.inet), .addChain(chain)]
      for group in groups where !group.isInstalled(among: installed) {
        requests += installed.filter { $0.comment == group.comment }
          .map { .deleteRule($0, of: chain) }
        requests += group.rules.map { .addRule($0, to: chain) }
      }
      return requests
    }
  }

  /// Whether a network has a chain; false if the kernel lacks nf_tables.
  /// - Throws: if the ruleset cannot be read.
  public static func exists(
    network: String, _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> Bool {
    try socket.has(chain: chain(of: network).name, .inet)
  }

  /// Removes a network's chain if it exists, or else the empty table that an interrupted removal left. Asks
  /// first: removing a missing chain takes the kernel 10 ms.
  /// - Throws: if the kernel refuses. A kernel without nf_tables has nothing to remove.
  public static func removeIfPresent(
    network: String, _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) {
    if try exists(network: network, socket) {
      try remove(network: network, socket)
    } else {
      try removeEmptyTable(socket)
    }
  }

  /// Removes the table if nothing is in it. A missing table is not an error, nor is a kernel without nf_tables.
  /// - Throws: if the kernel refuses.
  public static func removeEmptyTable(_ socket: borrowing NetfilterSocket) throws(NetlinkError) {
    try socket.removeEmptyTable(.inet)
  }

  /// Removes a network's chain; it may be gone already.
  ///
  /// Equivalent to: `nft delete chain inet humanz masquerade-NETWORK`.
  /// - Throws: if the kernel refuses; never because it lacks nf_tables.
  public static func remove(
    network: String, _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) {
    try socket.remove(chain: chain(of: network).name, .inet)
  }

  /// The networks that have such a chain; none if the kernel lacks nf_tables.
  /// - Throws: if the ruleset cannot be read.
  public static func networks(
    _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> [String] {
    try socket.baseChains().compactMap { chain in
      guard chain.family == .inet, chain.table == tableName,
        chain.name.begins(with: prefix)
      else { return nil }
      return chain.name.dropping(bytes: prefix.utf8.count)
    }
  }
}
