// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink

/// A firewall's chain that forwarded packets pass.
public struct ForwardChain {
  /// What rules without a condition do to the packets of new connections.
  public enum Rules {
    /// They drop nothing: one accepts the packets, or the policy decides.
    case pass
    /// One drops or rejects every packet, and no rule before it accepts any.
    case dropAll
    /// One drops or rejects what no rule before it accepts.
    case dropRest
  }

  /// For messages: `nftables chain ip filter FORWARD`.
  public let name: String
  /// The families whose packets pass it.
  public let families: [IPAddress.Family]
  /// Whether the policy is to drop.
  public let drops: Bool
  /// What its rules do before the policy is asked.
  public let rules: Rules

  /// All such chains of nf_tables and of iptables-legacy but the suite's own; only those of iptables-legacy if
  /// the kernel lacks nf_tables.
  /// - Throws: if a ruleset cannot be read; `wouldBlock` if it changes all the time.
  public static func all(
    _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> [ForwardChain] {
    var chains: [ForwardChain] = []
    for chain in try socket.baseChains() where chain.isForeignForward {
      let rules = try socket.rules(of: chain, wholeTable: true)
      var walk = RuleWalk(rules: rules.map { RuleWalk.Rule(chain: $0.chain, effect: $0.effect) })
      chains.append(
        ForwardChain(
          name: chain.messageName,
          families: [.v4, .v6].filter { chain.family.carries($0) }, drops: chain.drops,
          rules: walk.rules(of: chain.name)))
    }
    for family in [IPAddress.Family.v4, .v6] {
      guard let chain = try LegacyChain(family) else { continue }
      var walk = RuleWalk(rules: chain.allRules)
      chains.append(
        ForwardChain(
          name: LegacyTables(family: family).forward, families: [family], drops: chain.drops,
          rules: walk.rules(of: "\(chain.forward)")))
    }
    return chains
  }
}

/// Follows a packet of a new connection through the chains of a table, by the rules that have no condition.
struct RuleWalk {
  /// What a rule does to such a packet.
  enum Effect: Equatable {
    case nothing
    /// It has a condition, and may let the packet pass.
    case unknown
    case accept, drop, `return`
    case jump(String, returns: Bool)
  }

  struct Rule {
    let chain: String
    let effect: Effect
  }

  let rules: [Rule]
  private var mayPass = false
  /// The chains that were entered. A chain that did not decide the first time does not decide later.
  private var entered: [String] = []

  init(rules: [Rule]) { self.rules = rules }

  mutating func rules(of chain: String) -> ForwardChain.Rules {
    guard isDropped(by: chain) == true else { return .pass }
    return mayPass ? .dropRest : .dropAll
  }

  /// nil if the packet gets to the end of the chain.
  private mutating func isDropped(by chain: String) -> Bool? {
    if entered.contains(chain) { return nil }
    entered.append(chain)
    for rule in rules where rule.chain == chain {
      switch rule.effect {
      case .nothing: break
      case .unknown: mayPass = true
      case .accept: return false
      case .drop: return true
      case .return: return nil
      case .jump(let target, let returns):
        if let isDropped = isDropped(by: target) { return isDropped }
        if !returns { return nil }
      }
    }
    return nil
  }
}

extension RuleWalk.Effect {
  /// The effect of a verdict under conditions.
  /// - Parameter isOld: whether one of them is that the connection is not new.
  func under(condition: Bool, isOld: Bool) -> RuleWalk.Effect {
    if isOld || self == .nothing || condition && self == .drop { return .nothing }
    return condition ? .unknown : self
  }

  /// The effect of a target of iptables by its name. Most change the packet, or report it.
  static func target(_ name: String) -> RuleWalk.Effect {
    switch name {
    case "REJECT": .drop
    case "NFQUEUE": .unknown
    default: .nothing
    }
  }
}

/// Whether a condition of iptables is that the connection is not new: `-m conntrack --ctstate
/// RELATED,ESTABLISHED`. Source: include/uapi/linux/netfilter/xt_conntrack.h
private func isOldConnection(_ name: String, _ data: UnsafeRawBufferPointer) -> Bool {
  guard name == "conntrack", data.count >= MemoryLayout<xt_conntrack_mtinfo3>.size else {
    return false
  }
  let match = data.loadUnaligned(as: xt_conntrack_mtinfo3.self)
  // `-m state` sets the second flag too.
  let flags = UInt16(XT_CONNTRACK_STATE) | UInt16(XT_CONNTRACK_STATE_ALIAS)
  return match.match_flags & ~flags == 0 && match.match_flags != 0 && match.invert_flags == 0
    && UInt32(match.state_mask) & newConnection == 0
}

/// The bit of IP_CT_NEW in a mask of connection states, of nf_tables and of iptables.
private var newConnection: UInt32 { 8 }

extension InstalledRule {
  /// What it does, as `RuleWalk` asks.
  @inline(never)
  var effect: RuleWalk.Effect {
    var (effect, isConditional) = (RuleWalk.Effect.nothing, false)
    // `ct state established,related`: the state, and a mask, and a comparison with zero.
    var (isState, isMasked, isOld) = (false, false, false)
    expressions.withUnsafeBytes { bytes in
      for element in Attributes(bytes) {
        guard let name = element.nested.first(NFTA_EXPR_NAME)?.string else { continue }
        guard let data = element.nested.first(NFTA_EXPR_DATA) else {
          if name == "reject" { effect = .drop }
          continue
        }
        switch name {
        case "counter", "log": continue
        case "reject": effect = .drop
        case "immediate": effect = InstalledRule.verdict(data.nested)
        case "target":
          effect = .target(data.nested.first(NFTA_TARGET_NAME)?.string ?? "")
        case "match":
          let match = data.nested.first(NFTA_MATCH_NAME)?.string ?? ""
          if match == "comment" { continue }
          if let info = data.nested.first(NFTA_MATCH_INFO), isOldConnection(match, info.payload) {
            isOld = true
          }
          isConditional = true
        case "queue", "flow_offload", "objref": effect = .unknown
        case "lookup":
          // A map of verdicts.
          if data.nested.first(NFTA_LOOKUP_DREG)?.bigEndianUInt32 == NFT_REG_VERDICT.rawValue {
            effect = .unknown
          }
          isConditional = true
        default:
          let mask = data.nested.first(NFTA_BITWISE_MASK)?.nested.first(NFTA_DATA_VALUE)?.uint32
          let operation = data.nested.first(NFTA_CMP_OP)?.bigEndianUInt32
          if name == "cmp", isMasked, operation == NFT_CMP_NEQ.rawValue { isOld = true }
          isMasked = name == "bitwise" && isState && (mask ?? newConnection) & newConnection == 0
          isState =
            name == "ct"
            && data.nested.first(NFTA_CT_KEY)?.bigEndianUInt32 == NFT_CT_STATE.rawValue
          isConditional = true
        }
      }
    }
    return effect.under(condition: isConditional, isOld: isOld)
  }

  private static func verdict(_ data: Attributes) -> RuleWalk.Effect {
    guard
      let verdict = data.first(NFTA_IMMEDIATE_DATA)?.nested.first(NFTA_DATA_VERDICT)?.nested,
      let code = verdict.first(NFTA_VERDICT_CODE)?.bigEndianUInt32
    else { return .nothing }
    let chain = verdict.first(NFTA_VERDICT_CHAIN)?.string ?? ""
    switch Int32(bitPattern: code) {
    case NF_DROP: return .drop
    case NF_ACCEPT: return .accept
    case NFT_RETURN.rawValue: return .return
    case NFT_JUMP.rawValue: return .jump(chain, returns: true)
    case NFT_GOTO.rawValue: return .jump(chain, returns: false)
    case NFT_CONTINUE.rawValue: return .nothing
    default: return .unknown
    }
  }
}

// MARK: - iptables-legacy

extension LegacyChain {
  /// The rules of the whole table. The name of a chain here is the offset of its first rule, as in a jump.
  @inline(never)
  var allRules: [RuleWalk.Rule] {
    var rules: [RuleWalk.Rule] = []
    var chain = ""
    var rest = table
    while let (target, next) = LegacyChain.offsets(of: rest, family), next > 0 {
      let place = rest.startIndex - table.startIndex
      if place == forward { chain = "\(place)" }
      // The entry with the policy is not a rule.
      if place == policy { chain = "" }
      let entry = rest.prefix(next)
      let (name, data) = LegacyChain.part(entry, at: target)
      // The head of a user-defined chain.
      if name == "ERROR" { chain = "\(place + next)" }
      let effect = effect(of: entry, before: target, name.isEmpty ? verdict(data) : .target(name))
      rules.append(RuleWalk.Rule(chain: chain, effect: effect))
      rest = rest.dropFirst(next)
    }
    return rules
  }

  /// A match's or target's name and data. Both begin with their size and a name of 29 bytes.
  private static func part(_ entry: Entry, at offset: Int) -> (name: String, data: Entry) {
    let head = entry.dropFirst(offset)
    let name = head.dropFirst(2).prefix(29).prefix { $0 != 0 }
    return (String(decoding: name), head.dropFirst(MemoryLayout<xt_entry_target>.size))
  }

  private func verdict(_ data: Entry) -> RuleWalk.Effect {
    guard data.count >= 4 else { return .nothing }
    let verdict = data.withUnsafeBytes { $0.loadUnaligned(as: Int32.self) }
    // A verdict of netfilter is stored as its negative less one; other numbers are jumps.
    switch -1 - verdict {
    case NF_DROP: return .drop
    case NF_ACCEPT: return .accept
    case NF_REPEAT: return .return
    case let other: return other < 0 ? .jump("\(verdict)", returns: true) : .unknown
    }
  }

  private func effect(
    of entry: Entry, before target: Int, _ verdict: RuleWalk.Effect
  ) -> RuleWalk.Effect {
    var (isConditional, isGoto) = (true, false)
    var size = family == .v4 ? MemoryLayout<ipt_entry>.size : MemoryLayout<ip6t_entry>.size
    guard entry.count >= size else { return .unknown }
    entry.withUnsafeBytes { bytes in
      // In a rule without conditions all of this is zero, except for the flag.
      if family == .v4 {
        var head = bytes.loadUnaligned(as: ipt_entry.self).ip
        isGoto = head.flags == UInt8(IPT_F_GOTO)
        if isGoto { head.flags = 0 }
        isConditional = withUnsafeBytes(of: head) { !$0.allSatisfy { $0 == 0 } }
      } else {
        var head = bytes.loadUnaligned(as: ip6t_entry.self).ipv6
        isGoto = head.flags == UInt8(IP6T_F_GOTO)
        if isGoto { head.flags = 0 }
        isConditional = withUnsafeBytes(of: head) { !$0.allSatisfy { $0 == 0 } }
      }
    }
    var isOld = false
    while size < target, entry.count >= size + 2 {
      let (name, data) = LegacyChain.part(entry, at: size)
      if name != "comment" {
        isConditional = true
        if data.withUnsafeBytes({ isOldConnection(name, $0) }) { isOld = true }
      }
      let step = entry.dropFirst(size).withUnsafeBytes { $0.loadUnaligned(as: UInt16.self) }
      guard step > 0 else { break }
      size += Int(step)
    }
    var verdict = verdict
    if isGoto, case .jump(let chain, _) = verdict { verdict = .jump(chain, returns: false) }
    return verdict.under(condition: isConditional, isOld: isOld)
  }
}

extension nft_target_attributes: KernelConstant {}
extension nft_ct_attributes: KernelConstant {}
