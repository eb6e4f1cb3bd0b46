import Addresses
import CNetlink
import Embedded
import Netlink

/// Where a firewall drops what it is not told to forward, a network's packets are accepted, from and
/// to its prefixes.
///
/// An accepting rule in a table of ours would not help: a packet must pass every chain at the forward
/// hook. So the rules go to the chains that drop by policy (as Docker leaves `FORWARD`), behind all
/// others, of which each still has its say, with a comment that says whose they are. In the tables of iptables-nft they appear as if
/// iptables had made them; for chains of iptables-legacy see `LegacyForward`.
public struct ForwardAccept: Sendable {
  private let network: String
  private let prefixes: [IPPrefix]

  public init(network: String, prefixes: [IPPrefix]) {
    self.network = network
    self.prefixes = prefixes
  }

  private var comment: String { "humanz \(network)" }

  /// Whether no chain drops the network: two requests, and one more for each chain with a policy.
  public func isInstalled(_ socket: borrowing NetfilterSocket) throws(NetlinkError) -> Bool {
    try droppingChains(socket).isEmpty
  }

  /// Makes the rules that are missing. Does nothing where nothing has to be done. Others may do the
  /// same at the same time.
  ///
  /// Equivalent to: `iptables -A FORWARD -s PREFIX -m comment --comment "humanz NETWORK" -j ACCEPT`,
  /// and the same with `-d`.
  public func install(_ socket: borrowing NetfilterSocket) throws(NetlinkError) {
    try apply(.accept, socket)
  }

  /// Removes the network's rules, whatever its prefixes, from whatever chain they are in.
  public func remove(_ socket: borrowing NetfilterSocket) throws(NetlinkError) {
    try apply(.remove, socket)
  }

  /// The names of the chains that would drop the network's packets, for a person.
  public func droppingChains(
    _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> [String] {
    var names = try changes(.accept, socket).chains
    for family in [IPAddress.Family.v4, .v6] {
      let chain = LegacyForward(family, comment: comment)
      if !rules(of: chain, .accept).isEmpty { names.append(chain.description) }
    }
    return names
  }

  /// The chains that packets pass when they are forwarded, as `droppingChains` names them: those
  /// whose policy is to accept, and those whose policy is to drop.
  public static func chains(
    _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> (accepting: [String], dropping: [String]) {
    var (accepting, dropping): ([String], [String]) = ([], [])
    for chain in try socket.baseChains() where chain.isForeignForward {
      if chain.drops {
        dropping.append(chain.sentenceName)
      } else {
        accepting.append(chain.sentenceName)
      }
    }
    for family in [IPAddress.Family.v4, .v6] {
      let chain = LegacyForward(family, comment: "")
      if chain.drops {
        dropping.append(chain.description)
      } else if chain.isThere {
        accepting.append(chain.description)
      }
    }
    return (accepting, dropping)
  }

  // MARK: - What has to be sent

  private enum Goal {
    case accept, remove
  }

  @inline(never)
  private func apply(
    _ goal: Goal, _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) {
    if try !changes(goal, socket).requests.isEmpty {
      try socket.update { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
        try changes(goal, socket).requests
      }
    }
    for family in [IPAddress.Family.v4, .v6] {
      let chain = LegacyForward(family, comment: comment)
      try chain.run(goal == .accept ? "-A" : "-D", rules(of: chain, goal))
    }
  }

  /// The chains of nf_tables that are not as they are to be.
  @inline(never)
  private func changes(
    _ goal: Goal, _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> (chains: [String], requests: [Request]) {
    var (chains, requests): ([String], [Request]) = ([], [])
    for chain in try socket.baseChains()
    where chain.isForeignForward && (goal == .remove || chain.drops) {
      let installed = try socket.rules(of: chain)
      let count = requests.count
      if goal == .remove {
        for rule in installed where rule.comment == comment {
          requests.append(.deleteRule(rule, of: chain))
        }
      } else {
        for rule in rules(in: chain) where !installed.contains(where: rule.isInstalled) {
          requests.append(.addRule(rule, to: chain))
        }
      }
      if requests.count > count { chains.append(chain.sentenceName) }
    }
    return (chains, requests)
  }

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

  /// The rules of a chain of iptables-legacy that are to be made or removed.
  private func rules(of chain: LegacyForward, _ goal: Goal) -> [LegacyForward.Accept] {
    goal == .remove ? chain.accepts : chain.missing(for: prefixes)
  }
}

extension Chain {
  fileprivate var drops: Bool { policy == UInt32(NF_DROP) }

  fileprivate var sentenceName: String { "nftables chain \(description)" }

  /// Whether it is somebody else's filter at the forward hook.
  fileprivate var isForeignForward: Bool {
    family != .netdev && type == "filter" && hook == NF_INET_FORWARD.rawValue && table != tableName
  }
}

extension TableFamily {
  fileprivate func carries(_ family: IPAddress.Family) -> Bool {
    self == .inet || self == (family == .v4 ? .ip : .ip6)
  }
}
