// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink

/// Accepts packets of an overlay only from its peers, and from each only those of its own pods.
///
/// The kernel's VXLAN device takes a packet from anybody, with any network identifier. So the packets
/// are looked at before they get to the device: the outer source and the inner source must be a pair in
/// a set. The inner header lies behind UDP's 8 bytes and VXLAN-GPE's 8.
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
///     }
///
/// A set has one kind of pairs. A rule's comment has a fingerprint of its set, so that one question
/// tells whether thousands of peers are right.
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
  private let port: UInt16
  private let sets: [PairSet]

  /// - Parameters:
  ///   - port: of UDP.
  ///   - id: the VXLAN network identifier, of 24 bits.
  ///   - sources: from each peer its own address is accepted too: the peer itself may be the sender.
  public init(network: String, port: UInt16, id: UInt32, sources: [Source]) {
    self.network = network
    self.port = port
    // The peers themselves may send too.
    let all = sources + sources.map { Source(peer: $0.peer, pods: IPPrefix(host: $0.peer)) }
    var sets: [PairSet] = []
    for kind in 0..<4 {
      let (outer, inner): (IPAddress.Family, IPAddress.Family) =
        (kind & 1 == 0 ? .v4 : .v6, kind & 2 == 0 ? .v4 : .v6)
      let pairs = all.filter { $0.peer.family == outer && $0.pods.family == inner }
      if !pairs.isEmpty { sets.append(PairSet(network, port, id, outer, inner, pairs)) }
    }
    self.sets = sets
  }

  private static var chain: Chain {
    Chain(
      family: .inet, table: tableName, name: "overlay", type: "filter",
      hook: NF_INET_LOCAL_IN.rawValue, priority: NF_IP_PRI_MANGLE.rawValue)
  }

  /// Drops what no set has.
  private var dropping: Rule {
    Rule(
      comment: "strangers \(port)",
      expressions: .udp(to: port) + [.verdict(NF_DROP)])
  }

  /// Whether nothing has to be done: one request.
  public func isInstalled(_ socket: borrowing NetfilterSocket) throws(NetlinkError) -> Bool {
    isInstalled(among: try socket.rules(of: TunnelCheck.chain))
  }

  @inline(never)
  private func isInstalled(among installed: [InstalledRule]) -> Bool {
    var others = 0
    for rule in installed where rule.overlaySet(of: network) != nil { others += 1 }
    return others == sets.count && has(dropping, installed)
      && sets.allSatisfy { has($0.rule, installed) }
  }

  @inline(never)
  private func has(_ rule: Rule, _ installed: [InstalledRule]) -> Bool {
    installed.contains { rule.isInstalled(as: $0) }
  }

  /// Makes the sets and the rules, in place of the network's earlier ones, in one step. Does nothing
  /// where nothing has to be done.
  ///
  /// Equivalent to: `nft -f` with the table above.
  public func install(_ socket: borrowing NetfilterSocket) throws(NetlinkError) {
    if try isInstalled(socket) { return }
    try socket.update { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      let chain = TunnelCheck.chain
      let installed = try socket.rules(of: chain)
      var requests: [Request] = [.addTable(.inet), .addChain(chain)]
      requests += TunnelCheck.requestsToRemove(network, installed)
      if !has(dropping, installed) {
        requests.append(.addRule(dropping, to: chain))
      }
      for set in sets {
        requests += set.requests
        requests.append(.insertRule(set.rule, to: chain))
      }
      return requests
    }
  }

  @inline(never)
  private static func requestsToRemove(
    _ network: String, _ installed: [InstalledRule]
  ) -> [Request] {
    var requests: [Request] = []
    for rule in installed {
      guard let set = rule.overlaySet(of: network) else { continue }
      requests.append(.deleteRule(rule, of: chain))
      requests.append(.deleteSet(set))
    }
    return requests
  }

  /// Removes a network's rules and sets, and with the last network's the chain.
  /// - Returns: whether no network is left.
  @inline(never)
  public static func remove(
    network: String, _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> Bool {
    if try !requestsToRemove(network, socket.rules(of: chain)).isEmpty {
      try socket.update { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
        requestsToRemove(network, try socket.rules(of: chain))
      }
    }
    for rule in try socket.rules(of: chain) where rule.overlaySet(of: nil) != nil { return false }
    try socket.remove(chain: chain.name, .inet)
    return true
  }
}

/// The pairs of one outer and one inner family, and the rule that accepts them.
private struct PairSet: Sendable {
  let rule: Rule
  let requests: [Request]

  init(
    _ network: String, _ port: UInt16, _ id: UInt32, _ outer: IPAddress.Family,
    _ inner: IPAddress.Family, _ sources: [TunnelCheck.Source]
  ) {
    let sorted = sources.inOrder {
      $0.peer == $1.peer ? $0.pods < $1.pods : $0.peer < $1.peer
    }
    // The kernel refuses overlapping pairs. A wider prefix comes before what it contains.
    var pairs: [TunnelCheck.Source] = []
    for source in sorted {
      if let last = pairs.last, last.peer == source.peer, last.pods.contains(source.pods) {
        continue
      }
      pairs.append(source)
    }
    var fingerprint = Fingerprint()
    fingerprint.add(bigEndian(port))
    fingerprint.add(bigEndian(id))
    var elements: [(first: [UInt8], last: [UInt8])] = []
    for pair in pairs {
      let element = (
        pair.peer.bytes + pair.pods.first.bytes, pair.peer.bytes + pair.pods.last.bytes
      )
      fingerprint.add(element.0)
      fingerprint.add(element.1)
      elements.append(element)
    }
    let kind = "\(outer.version)\(inner.version)"
    let name = "overlay-\(network)-\(kind)"
    var requests = [Request.addSet(name, fields: [outer, inner])]
    // An attribute, as the list of elements is one, has at most 64 KiB.
    var start = 0
    while start < elements.count {
      let end = min(start + 256, elements.count)
      requests.append(.addElements(elements[start..<end], to: name))
      start = end
    }
    self.requests = requests
    let source: UInt32 = inner == .v4 ? 12 : 8
    rule = Rule(
      comment: "\(network) \(kind) \(fingerprint.description)",
      expressions: .family(outer) + .udp(to: port) + [
        .payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset: 11, length: 4),
        .compare(NFT_CMP_EQ, [inner == .v4 ? 1 : 2] + bigEndian(id)[1...]),
        .payload(
          NFT_PAYLOAD_NETWORK_HEADER, offset: outer == .v4 ? 12 : 8, length: outer.byteCount),
        .payloadBehind(
          outer.byteCount, NFT_PAYLOAD_TRANSPORT_HEADER, offset: 16 + source,
          length: inner.byteCount),
        .lookup(set: name), .verdict(NF_ACCEPT),
      ])
  }
}

extension IPAddress.Family {
  fileprivate var byteCount: UInt32 { UInt32(bits / 8) }
}

extension [Expression] {
  @inline(never)
  fileprivate static func udp(to port: UInt16) -> [Expression] {
    [
      .meta(NFT_META_L4PROTO), .compare(NFT_CMP_EQ, [UInt8(IPPROTO_UDP)]),
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset: 2, length: 2),
      .compare(NFT_CMP_EQ, bigEndian(port)),
    ]
  }
}

extension InstalledRule {
  /// The set of a rule that accepts the packets of a network's peers, or (nil) of any network's; nil for
  /// another rule. The comment is the network, the kind and the fingerprint.
  @inline(never)
  fileprivate func overlaySet(of network: String?) -> String? {
    let words = Array((comment ?? "").utf8)
    guard let first = words.firstIndex(of: UInt8(ascii: " ")),
      let last = words.lastIndex(of: UInt8(ascii: " ")), first < last
    else { return nil }
    let owner = String(decoding: words[..<first], as: UTF8.self)
    if let network, !owner.isSame(as: network) { return nil }
    return "overlay-\(owner)-\(String(decoding: words[(first + 1)..<last], as: UTF8.self))"
  }
}

/// FNV-1a, of 64 bits.
private struct Fingerprint {
  private var value: UInt64 = 0xcbf2_9ce4_8422_2325

  @inline(never)
  mutating func add(_ bytes: [UInt8]) {
    for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
  }

  var description: String {
    String(value, digits: 16, radix: 16)
  }
}
