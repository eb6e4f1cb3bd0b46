import CNetlink
import Embedded
import Netlink

/// The masquerade that the reference `bridge` makes for one attachment, by iptables-nft or by nftables: what
/// is left of it when the attachment is deleted by another plugin.
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
  private let nftablesComment: String

  public init(network: String, container: String, interface: String) {
    iptablesComment = "name: \"\(network)\" id: \"\(container)\""
    nftablesComment = ", net: \(network), if: \(interface), id: \(container)"
  }

  /// Removes the rules, and the chains of iptables that they jump to.
  ///
  /// Equivalent to: `iptables -t nat -D POSTROUTING … -j CNI-HASH`, `iptables -t nat -X CNI-HASH`.
  public func remove(_ socket: borrowing NetfilterSocket) throws(NetlinkError) {
    for family in [TableFamily.ip, .ip6] {
      let chain = ReferenceMasquerade.chain(family, "nat", "POSTROUTING")
      let jumps = try socket.rules(of: chain).filter { $0.matchedComment == iptablesComment }
      var targets: [String] = []
      for rule in jumps {
        if let target = rule.target, !targets.contains(target) { targets.append(target) }
      }
      try socket.commit(
        jumps.map { .deleteRule($0, of: chain) }
          + targets.map { .deleteChain(family, table: "nat", $0) })
    }
    let chain = ReferenceMasquerade.chain(.inet, "cni_plugins_masquerade", "masq_checks")
    let rules = try socket.rules(of: chain).filter {
      $0.comment?.ends(with: nftablesComment) == true
    }
    try socket.commit(rules.map { .deleteRule($0, of: chain) })
  }

  private static func chain(_ family: TableFamily, _ table: String, _ name: String) -> Chain {
    Chain(
      family: family, table: table, name: name, type: "nat",
      hook: NF_INET_POST_ROUTING.rawValue, priority: NF_IP_PRI_NAT_SRC.rawValue)
  }
}

extension InstalledRule {
  /// The text of iptables' match `comment`.
  fileprivate var matchedComment: String? {
    data(of: "match") { match in
      guard match.first(NFTA_MATCH_NAME)?.string == "comment" else { return nil }
      return match.first(NFTA_MATCH_INFO)?.string
    }
  }

  /// The chain that the rule jumps to.
  fileprivate var target: String? {
    data(of: "immediate") { immediate in
      immediate.first(NFTA_IMMEDIATE_DATA)?.nested.first(NFTA_DATA_VERDICT)?.nested
        .first(NFTA_VERDICT_CHAIN)?.string
    }
  }

  /// What `read` finds in the first expression of a name in which it finds anything.
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
