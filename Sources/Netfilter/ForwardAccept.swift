// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink

/// Accepts a network's forwarded packets, from and to its prefixes, in firewalls whose policy is to drop
/// them.
///
/// An accepting rule in a table of ours would not help: a packet must pass every chain at the forward
/// hook. So the rules go into the chains that drop by policy (as Docker leaves `FORWARD`), behind all
/// other rules, which are still applied. A comment names the network. In the tables of iptables-nft
/// they look as if iptables had made them; for chains of iptables-legacy see `LegacyForward`.
public struct ForwardAccept: Sendable {
  private let network: String
  private let prefixes: [IPPrefix]

  /// The rules of a network.
  /// - Parameters:
  ///   - network: its name, for the rules' comment.
  ///   - prefixes: of its pods, of both families; none if the rules are only to be removed.
  public init(network: String, prefixes: [IPPrefix]) {
    self.network = network
    self.prefixes = prefixes
  }

  private static let commentPrefix = "humanz "
  private var comment: String { ForwardAccept.commentPrefix + network }

  /// Whether no chain drops the network's packets. Costs one request, one more for each chain whose policy is to
  /// drop, and a reading of the tables of iptables-legacy.
  /// - Throws: if the rulesets cannot be read.
  public func isInstalled(_ socket: borrowing NetfilterSocket) throws(NetlinkError) -> Bool {
    try droppingChains(socket).isEmpty
  }

  /// Whether a chain has rules of the network.
  /// - Throws: if the rulesets cannot be read.
  public func hasRules(_ socket: borrowing NetfilterSocket) throws(NetlinkError) -> Bool {
    for chain in try socket.baseChains() where chain.isForeignForward {
      if try !requests(.remove, chain, socket).isEmpty { return true }
    }
    for family in [IPAddress.Family.v4, .v6] {
      if try !LegacyForward(family, comment: comment).accepts.isEmpty { return true }
    }
    return false
  }

  /// Adds the missing rules. Changes nothing if none is missing. Several processes may do this at once.
  ///
  /// Equivalent to: `iptables -A FORWARD -s PREFIX -m comment --comment "humanz NETWORK" -j ACCEPT`, and the
  /// same with `-d`.
  /// - Throws: if a firewall rejected our rules, after the other firewalls have got theirs;
  ///   `noSuchFileOrDirectory` if a chain of iptables-legacy needs a rule and that program is not installed.
  public func install(_ socket: borrowing NetfilterSocket) throws(NetlinkError) {
    try apply(.accept, socket)
  }

  /// Removes all rules of the network from all chains.
  /// - Throws: if a firewall keeps its rules, after those of the other firewalls are removed.
  public func remove(_ socket: borrowing NetfilterSocket) throws(NetlinkError) {
    try apply(.remove, socket)
  }

  /// The names of the chains that drop the network's packets, for messages.
  /// - Throws: if the rulesets cannot be read.
  public func droppingChains(
    _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> [String] {
    var names: [String] = []
    for chain in try chainsToChange(socket) { names.append(chain.messageName) }
    for family in [IPAddress.Family.v4, .v6] {
      let chain = try LegacyForward(family, comment: comment)
      if !chain.missing(for: prefixes).isEmpty { names.append(chain.description) }
    }
    return names
  }

  /// Those of `droppingChains` that cannot be changed: a table that belongs to another process, or a chain of
  /// iptables-legacy if that program is not installed.
  /// - Throws: if the rulesets cannot be read.
  public func unchangeableChains(
    _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> [String] {
    var names: [String] = []
    for chain in try chainsToChange(socket) {
      if try socket.hasOwner(chain) { names.append(chain.messageName) }
    }
    for family in [IPAddress.Family.v4, .v6] {
      let chain = try LegacyForward(family, comment: comment)
      if !chain.missing(for: prefixes).isEmpty, !chain.canBeChanged {
        names.append(chain.description)
      }
    }
    return names
  }

  // MARK: - Changing chains

  private enum Goal {
    case accept, remove
  }

  /// Changes the chains one by one: a chain that rejects our rules does not stop the others.
  @inline(never)
  private func apply(
    _ goal: Goal, _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) {
    var failure: NetlinkError?
    for chain in try socket.baseChains() where chain.isForeignForward {
      do throws(NetlinkError) {
        if try requests(goal, chain, socket).isEmpty { continue }
        try socket.update { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
          try requests(goal, chain, socket)
        }
      } catch {
        failure = failure ?? error
      }
    }
    for family in [IPAddress.Family.v4, .v6] {
      do throws(NetlinkError) {
        let chain = try LegacyForward(family, comment: comment)
        switch goal {
        case .accept: try chain.run("-A", chain.missing(for: prefixes))
        case .remove: try chain.run("-D", chain.accepts)
        }
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }

  /// The chains of nf_tables that drop the network.
  @inline(never)
  private func chainsToChange(
    _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> [Chain] {
    var chains: [Chain] = []
    for chain in try socket.baseChains() where chain.isForeignForward {
      if try !requests(.accept, chain, socket).isEmpty { chains.append(chain) }
    }
    return chains
  }

  /// The requests that add the rules that a chain of nf_tables lacks, or remove the network's.
  @inline(never)
  private func requests(
    _ goal: Goal, _ chain: Chain, _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> [Request] {
    if goal == .accept, !chain.drops { return [] }
    let installed = try socket.rules(of: chain)
    if goal == .remove {
      return installed.filter { $0.comment == comment }.map { .deleteRule($0, of: chain) }
    }
    return rules(in: chain).filter { rule in
      !installed.contains { rule.isInstalled(as: $0) || isForeign($0) && rule.matches($0) }
    }.map { .addRule($0, to: chain) }
  }

  /// Whether a rule is not the suite's. (Another network's rule does not count: it is removed with that
  /// network.)
  @inline(never)
  private func isForeign(_ rule: InstalledRule) -> Bool {
    rule.comment.map { !$0.begins(with: ForwardAccept.commentPrefix) } ?? true
  }

  @inline(never)
  private func rules(in chain: Chain) -> [Rule] {
    var rules: [Rule] = []
    for prefix in prefixes where chain.family.carries(prefix.family) {
      for direction in [Direction.source, .destination] {
        rules.append(
          Rule(
            comment: comment,
            expressions: (chain.family == .inet ? .family(prefix.family) : [])
              + .address(direction, in: prefix) + [.verdict(NF_ACCEPT)]))
      }
    }
    return rules
  }
}

extension Chain {
  var drops: Bool { policy == UInt32(NF_DROP) }

  /// The chain as messages name it.
  var messageName: String { "nftables chain \(description)" }

  /// Whether it is another program's filter at the forward hook.
  var isForeignForward: Bool {
    family != .netdev && type == "filter" && hook == NF_INET_FORWARD.rawValue && table != tableName
  }
}

extension TableFamily {
  func carries(_ family: IPAddress.Family) -> Bool {
    self == .inet || self == (family == .v4 ? .ip : .ip6)
  }
}
