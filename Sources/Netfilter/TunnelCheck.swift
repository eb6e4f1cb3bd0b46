// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink

/// Accepts packets of an overlay only from its peers, and from each only those of its own pods.
///
/// The kernel's VXLAN device takes a packet from anybody, with any network identifier. So the packets
/// are checked before they get to the device: the outer source and the inner source must be a pair in
/// a set. The inner header lies behind UDP's 8 bytes and VXLAN-GPE's 8.
///
/// A pod must not send such packets itself: after masquerading they would have its node's address. So a node
/// forwards only those whose pair is in the set, because it may be the router of a peer. What its own VXLAN device
/// sends is not forwarded.
///
///     table inet humanz {
///       set overlay-mynet-44 {
///         type ipv4_addr . ipv4_addr; flags interval
///         elements = { 10.2.0.10 . 100.100.1.0/24, 10.2.0.10 . 10.2.0.10 }
///       }
///       chain overlay {
///         type filter hook input priority mangle; policy accept;
///         udp dport 4790 @th,88,32 0x1000048 ip saddr . @th,224,32 @overlay-mynet-44 accept
///         udp dport 4790 drop
///       }
///       chain overlay-pods {
///         type filter hook forward priority mangle; policy accept;
///         udp dport 4790 @th,88,32 0x1000048 ip saddr . @th,224,32 @overlay-mynet-44 accept
///         udp dport 4790 @th,88,32 0x1000048 drop
///       }
///     }
///
/// A set has pairs of one outer and one inner family. A rule's comment has a fingerprint of its set, so that
/// one request tells whether the pairs of thousands of peers are right.
public struct TunnelCheck: Sendable {
  /// Who may send what.
  public struct Source: Equatable, Sendable {
    /// The sender of the outer packet.
    public let peer: IPAddress
    /// The senders of the packets inside.
    public let pods: IPPrefix

    public init(peer: IPAddress, pods: IPPrefix) {
      self.peer = peer
      self.pods = pods
    }
  }

  private let network: String
  private let sets: [PairSet]
  /// Drops packets whose pair is in no set.
  private let dropping: Rule

  /// The sets and rules of a network.
  /// - Parameters:
  ///   - network: its name, which becomes part of the sets' names and of the rules' comments.
  ///   - port: of UDP.
  ///   - id: the VXLAN network identifier, of 24 bits.
  ///   - sources: the pairs to accept. From each peer its own address is accepted too: the peer itself may be the
  ///     sender.
  public init(network: String, port: UInt16, id: UInt32, sources: [Source]) {
    self.network = network
    let all = sources + sources.map { Source(peer: $0.peer, pods: IPPrefix(host: $0.peer)) }
    var sets: [PairSet] = []
    for kind in 0..<4 {
      let (outer, inner): (IPAddress.Family, IPAddress.Family) =
        (kind & 1 == 0 ? .v4 : .v6, kind & 2 == 0 ? .v4 : .v6)
      let pairs = all.filter { $0.peer.family == outer && $0.pods.family == inner }
      if !pairs.isEmpty { sets.append(PairSet(network, port, id, outer, inner, pairs)) }
    }
    self.sets = sets
    dropping = Rule(
      comment: "\(TunnelCheck.strangers)\(port)",
      expressions: .udp(to: port) + [.verdict(NF_DROP)])
  }

  /// The start of a dropping rule's comment. The port is the rest.
  fileprivate static let strangers = "strangers "

  /// For packets to the node.
  private static var inputChain: Chain { chain("overlay", NF_INET_LOCAL_IN) }
  /// For packets that the node forwards.
  private static var forwardChain: Chain { chain("overlay-pods", NF_INET_FORWARD) }

  private static func chain(_ name: String, _ hook: nf_inet_hooks) -> Chain {
    Chain(
      family: .inet, table: tableName, name: name, type: "filter", hook: hook.rawValue,
      priority: NF_IP_PRI_MANGLE.rawValue)
  }

  /// The rules of both chains, and others of the suite.
  private static func installed(
    _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> [InstalledRule] {
    try socket.rules(of: inputChain, wholeTable: true)
  }

  /// Whether all rules are in place; false if the kernel lacks nf_tables. Costs one request.
  /// - Throws: if the ruleset cannot be read.
  public func isInstalled(_ socket: borrowing NetfilterSocket) throws(NetlinkError) -> Bool {
    let installed = try TunnelCheck.installed(socket)
    var others = 0
    for rule in installed where rule.overlaySet(of: network) != nil { others += 1 }
    guard has(dropping, installed) else { return false }
    return others == 3 * sets.count
      && sets.allSatisfy { has($0.accepting, installed) && has($0.refusing, installed) }
  }

  @inline(never)
  private func has(_ rule: Rule, _ installed: [InstalledRule]) -> Bool {
    installed.contains { rule.isInstalled(as: $0) }
  }

  /// Another network that has rules here; nil for none.
  @inline(never)
  public func otherNetwork(_ socket: borrowing NetfilterSocket) throws(NetlinkError) -> String? {
    otherNetwork(among: try TunnelCheck.installed(socket))
  }

  @inline(never)
  private func otherNetwork(among installed: [InstalledRule]) -> String? {
    installed.first { $0.overlaySet(of: nil) != nil && $0.overlaySet(of: network) == nil }?
      .comment?.words.first
  }

  /// Makes the sets and the rules, in place of the network's earlier ones, in one step. Does nothing if all
  /// are in place.
  /// - Precondition: if no other network has rules, the node has no overlay device of another port: the rules
  ///   that drop strangers' packets to other ports are removed then.
  ///
  /// Equivalent to: `nft -f` with the table above.
  /// - Throws: if the kernel refuses, as one before Linux 5.6, which has no such sets; nothing is changed
  ///   then.
  public func install(_ socket: borrowing NetfilterSocket) throws(NetlinkError) {
    if try isInstalled(socket) { return }
    try socket.update { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      let (input, forward) = (TunnelCheck.inputChain, TunnelCheck.forwardChain)
      let installed = try TunnelCheck.installed(socket)
      var requests: [Request] = [.addTable(.inet), .addChain(input), .addChain(forward)]
      requests += TunnelCheck.requestsToRemove(network, installed)
      if otherNetwork(among: installed) == nil {
        for rule in installed where rule.isForStrangers && !dropping.isInstalled(as: rule) {
          requests.append(.deleteRule(rule, of: input))
        }
      }
      if !has(dropping, installed) { requests.append(.addRule(dropping, to: input)) }
      for set in sets {
        requests += set.requests
        requests += [
          .insertRule(set.accepting, to: input), .insertRule(set.accepting, to: forward),
          .addRule(set.refusing, to: forward),
        ]
      }
      return requests
    }
  }

  @inline(never)
  private static func requestsToRemove(
    _ network: String, _ installed: [InstalledRule]
  ) -> [Request] {
    var (rules, sets): ([Request], [Request]) = ([], [])
    for rule in installed {
      guard let set = rule.overlaySet(of: network) else { continue }
      rules.append(.deleteRule(rule, of: inputChain))
      // A set has only one rule in this chain: it is deleted once.
      if rule.chain.isSame(as: inputChain.name) { sets.append(.deleteSet(set)) }
    }
    return rules + sets
  }

  /// Removes a network's rules and sets, and with the last network's the chains.
  /// - Returns: whether no network is left.
  /// - Throws: if the kernel refuses; never because it lacks nf_tables.
  @inline(never)
  public static func remove(
    network: String, _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> Bool {
    if try !requestsToRemove(network, installed(socket)).isEmpty {
      try socket.update { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
        requestsToRemove(network, try installed(socket))
      }
    }
    for rule in try installed(socket) where rule.overlaySet(of: nil) != nil { return false }
    for chain in [forwardChain, inputChain] where try socket.has(chain: chain.name, .inet) {
      try socket.remove(chain: chain.name, .inet)
    }
    return true
  }
}

extension InstalledRule {
  /// Whether it drops what strangers send to some port, and is not a rule of a network named `strangers`.
  fileprivate var isForStrangers: Bool {
    comment?.begins(with: TunnelCheck.strangers) == true && overlaySet(of: nil) == nil
  }

  /// The set of a network's rule, or (nil) of any network's; nil for another rule. The comment is the
  /// network, the kind and the fingerprint.
  @inline(never)
  func overlaySet(of network: String?) -> String? {
    let words = Array((comment ?? "").utf8)
    guard let first = words.firstIndex(of: UInt8(ascii: " ")),
      let last = words.lastIndex(of: UInt8(ascii: " ")), first < last
    else { return nil }
    let owner = String(decoding: words[..<first], as: UTF8.self)
    if let network, !owner.isSame(as: network) { return nil }
    return "overlay-\(owner)-\(String(decoding: words[(first + 1)..<last], as: UTF8.self))"
  }
}
