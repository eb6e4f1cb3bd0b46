import CNI
import CNetlink
import Netlink

/// Where a firewall drops what it is not told to forward, a network's packets are accepted, from and
/// to its prefixes.
///
/// An accepting rule in a table of ours would not help: a packet must pass every chain at the forward
/// hook. So the rules go to the chains that drop by policy (as Docker leaves `FORWARD`), before all
/// others, with a comment that says whose they are. In the tables of iptables-nft they appear as if
/// iptables had made them; for chains of iptables-legacy see `LegacyForward`.
public struct ForwardAccept: Sendable {
  private let network: NetworkName
  private let prefixes: [IPPrefix]

  public init(network: NetworkName, prefixes: [IPPrefix]) {
    self.network = network
    self.prefixes = prefixes
  }

  private static func comment(of network: NetworkName) -> String { "humanz \(network)" }

  /// Whether no chain drops the network: two requests, and one more for each chain with a policy.
  public func isInstalled(_ socket: borrowing NetfilterSocket) throws(NetlinkError) -> Bool {
    try missing(socket).isEmpty && legacy.allSatisfy { $0.missing(for: prefixes).isEmpty }
  }

  /// Makes the rules that are missing. Does nothing where nothing has to be done. Others may do the
  /// same at the same time.
  ///
  /// Equivalent to: `iptables -I FORWARD -s PREFIX -m comment --comment "humanz NETWORK" -j ACCEPT`,
  /// and the same with `-d`.
  public func install(_ socket: borrowing NetfilterSocket) throws(NetlinkError) {
    if try !missing(socket).isEmpty {
      try socket.update { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
        try missing(socket)
      }
    }
    for legacy in legacy { try legacy.insert(legacy.missing(for: prefixes)) }
  }

  /// Removes the network's rules, whatever its prefixes, from whatever chain they are in.
  public func remove(_ socket: borrowing NetfilterSocket) throws(NetlinkError) {
    try socket.update { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      var requests: [Request] = []
      for chain in try ForwardAccept.chains(socket) {
        requests += try socket.rules(of: chain)
          .filter { $0.comment == ForwardAccept.comment(of: network) }
          .map { .deleteRule($0, of: chain) }
      }
      return requests
    }
    for legacy in legacy { try legacy.delete(legacy.accepts) }
  }

  /// The names of the chains that would drop the network's packets, for a person.
  public func droppingChains(
    _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> [String] {
    var names: [String] = []
    for chain in try ForwardAccept.chains(socket) where try !missing(socket, in: chain).isEmpty {
      names.append("nftables chain \(chain.description)")
    }
    return names
      + legacy.filter { !$0.missing(for: prefixes).isEmpty }.map { $0.description }
  }

  // MARK: - Chains of nf_tables

  /// What has to be sent so that nothing is missing.
  private func missing(_ socket: borrowing NetfilterSocket) throws(NetlinkError) -> [Request] {
    var requests: [Request] = []
    for chain in try ForwardAccept.chains(socket) { requests += try missing(socket, in: chain) }
    return requests
  }

  private func missing(
    _ socket: borrowing NetfilterSocket, in chain: Chain
  ) throws(NetlinkError) -> [Request] {
    guard chain.policy == UInt32(NF_DROP) else { return [] }
    let installed = try socket.rules(of: chain)
    return rules(in: chain)
      .filter { rule in !installed.contains { rule.isInstalled(as: $0) } }
      .map { .addRule($0, to: chain, first: true) }
  }

  /// Other people's filter chains at the forward hook, whatever their policy.
  private static func chains(
    _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> [Chain] {
    try socket.baseChains().filter {
      $0.family != .netdev && $0.type == "filter" && $0.hook == NF_INET_FORWARD.rawValue
        && $0.table != tableName
    }
  }

  private func rules(in chain: Chain) -> [Rule] {
    prefixes.filter { chain.family.carries($0.family) }.flatMap { prefix in
      [Direction.source, .destination].map { direction in
        Rule(
          comment: ForwardAccept.comment(of: network),
          expressions: (chain.family == .inet ? .family(prefix.family) : [])
            + .address(direction, in: prefix) + [.verdict(NF_ACCEPT)])
      }
    }
  }

  // MARK: - Chains of iptables-legacy

  private var legacy: [LegacyForward] {
    [IPAddress.Family.v4, .v6].map {
      LegacyForward($0, comment: ForwardAccept.comment(of: network))
    }
  }
}

extension TableFamily {
  fileprivate func carries(_ family: IPAddress.Family) -> Bool {
    self == .inet || self == (family == .v4 ? .ip : .ip6)
  }
}
