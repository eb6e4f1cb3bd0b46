// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink

/// The masquerade that the reference `bridge` makes for one attachment, by iptables-nft, iptables-legacy or
/// nftables. It is left behind if another plugin deletes the attachment.
///
///     table ip nat {
///       chain POSTROUTING {
///         ip saddr 10.1.2.3 counter jump CNI-0123456789abcdef01234567  # name: "net" id: "container"
///       }
///       chain CNI-0123456789abcdef01234567 { … }
///     }
///     table inet cni_plugins_masquerade {
///       chain masq_checks { … comment "HASH, net: net, if: eth0, id: container" }
///     }
public struct ReferenceMasquerade: Sendable {
  private let iptablesComment: String
  /// As iptables-legacy lists it.
  private let quotedComment: String
  /// How a rule's comment ends; nil if it does not identify the attachment.
  private let nftablesComment: String?

  /// The rules of an attachment, which are found by their comments.
  /// - Parameters:
  ///   - network: the network's name.
  ///   - container: the container's ID.
  ///   - interface: the name of the pod's interface.
  public init(network: String, container: String, interface: String) {
    iptablesComment = "name: \"\(network)\" id: \"\(container)\""
    quotedComment = "name: \\\"\(network)\\\" id: \\\"\(container)\\\""
    // The comment begins with 33 bytes of hashes, and the reference cuts it off at 128 bytes. With fewer than 12
    // bytes of the container's ID it could be another attachment's.
    let place = ", net: \(network), if: \(interface), id: "
    let end = Array((place + container).utf8).prefix(128 - 33)
    let isUnique = end.count >= place.utf8.count + min(12, container.utf8.count)
    nftablesComment = isUnique ? String(decoding: end) : nil
  }

  /// Removes the rules, and the chains of iptables that they jump to: an attachment has a rule for each of its
  /// addresses, and all of a family jump to one chain. Missing ones are not an error, nor is a
  /// kernel without nf_tables.
  ///
  /// Equivalent to: `iptables -t nat -D POSTROUTING … -j CNI-HASH`, `iptables -t nat -X CNI-HASH`.
  /// - Throws: if the kernel or iptables-legacy refuses; what was removed before that stays removed.
  public func remove(_ socket: borrowing NetfilterSocket) throws(NetlinkError) {
    for family in [TableFamily.ip, .ip6] { try removeJumps(family, socket) }
    if let nftablesComment {
      let chain = ReferenceMasquerade.chain(.inet, "cni_plugins_masquerade", "masq_checks")
      var requests: [Request] = []
      for rule in try socket.rules(of: chain)
      where rule.comment?.ends(with: nftablesComment) == true {
        requests.append(.deleteRule(rule, of: chain))
      }
      try socket.commit(requests)
    }
    for family in [IPAddress.Family.v4, .v6] { try removeLegacy(family) }
  }

  /// Removes what iptables-nft made.
  @inline(never)
  private func removeJumps(
    _ family: TableFamily, _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) {
    let chain = ReferenceMasquerade.chain(family, "nat", "POSTROUTING")
    var requests: [Request] = []
    var target: String?
    for rule in try socket.rules(of: chain) where rule.matchedComment == iptablesComment {
      requests.append(.deleteRule(rule, of: chain))
      target = rule.target
    }
    if let target { requests.append(.deleteChain(family, table: "nat", target)) }
    try socket.commit(requests)
  }

  /// Removes the rules from the tables of iptables-legacy, by one call of that program's: all or none.
  /// Nothing is removed if the program is not installed.
  @inline(never)
  private func removeLegacy(_ family: IPAddress.Family) throws(NetlinkError) {
    let tables = LegacyTables(family: family)
    guard tables.canBeChanged, try tables.has("nat") else { return }
    let attempt = "remove the reference bridge's rules of iptables-legacy"
    let listed = try tables.run(attempt, ["-t", "nat", "-S", "POSTROUTING"])
    // A rule is listed as `-A …`, with its target last; the same words after `-D` delete it.
    var (commands, chain) = ("", "")
    for line in String(decoding: listed).fields(separatedBy: "\n") {
      guard let target = line.words.last,
        line.ends(with: " --comment \"\(quotedComment)\" -j \(target)")
      else { continue }
      let rule = String(decoding: Array(line.utf8).dropFirst(2))
      commands += "-D\(rule)\n"
      chain = target
    }
    if commands.isEmpty { return }
    try tables.run(
      attempt, tool: "-restore", ["--noflush"],
      input: Array("*nat\n\(commands)-F \(chain)\n-X \(chain)\nCOMMIT\n".utf8))
  }

  private static func chain(_ family: TableFamily, _ table: String, _ name: String) -> Chain {
    Chain(
      family: family, table: table, name: name, type: "nat",
      hook: NF_INET_POST_ROUTING.rawValue, priority: NF_IP_PRI_NAT_SRC.rawValue)
  }
}

extension InstalledRule {
  /// The text of iptables' match `comment`.
  var matchedComment: String? {
    data(of: "match") { match in
      guard match.first(NFTA_MATCH_NAME)?.string == "comment" else { return nil }
      return match.first(NFTA_MATCH_INFO)?.string
    }
  }

  /// The chain that the rule jumps to.
  var target: String? {
    data(of: "immediate") { immediate in
      immediate.first(NFTA_IMMEDIATE_DATA)?.nested.first(NFTA_DATA_VERDICT)?.nested
        .first(NFTA_VERDICT_CHAIN)?.string
    }
  }

  /// The first value that `read` finds in an expression of a name.
  private func data(of name: String, _ read: (Attributes) -> String?) -> String? {
    expressions.withUnsafeBytes { bytes in
      for element in Attributes(bytes) where element.nested.first(NFTA_EXPR_NAME)?.string == name {
        if let data = element.nested.first(NFTA_EXPR_DATA), let found = read(data.nested) {
          return found
        }
      }
      return nil
    }
  }
}

extension nft_match_attributes: KernelConstant {}
