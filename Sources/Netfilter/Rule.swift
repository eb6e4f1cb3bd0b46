// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink
import System

/// A rule of ours, identified by its comment.
struct Rule: Sendable {
  /// At most 253 bytes. nft(8) prints it behind the rule.
  let comment: String
  let expressions: [Expression]

  /// NFT_RULE_MAXEXPRS, of include/net/netfilter/nf_tables.h.
  static let mostExpressions = 128
}

/// A rule that is in the kernel.
struct InstalledRule {
  /// The kernel's number for it.
  let handle: UInt64
  let chain: String
  let comment: String?
  /// NFTA_RULE_EXPRESSIONS.
  let expressions: [UInt8]
}

extension Request {
  /// Adds a rule behind the others of a chain.
  ///
  /// Equivalent to: `nft add rule inet humanz CHAIN ... comment "TEXT"`. Message: NFT_MSG_NEWRULE.
  static func addRule(_ rule: Rule, to chain: Chain) -> Request {
    newRule("add", NLM_F_APPEND, rule, chain)
  }

  /// Adds a rule before the others of a chain.
  ///
  /// Equivalent to: `nft insert rule inet humanz CHAIN ... comment "TEXT"`. Message: NFT_MSG_NEWRULE.
  static func insertRule(_ rule: Rule, to chain: Chain) -> Request {
    newRule("insert", 0, rule, chain)
  }

  @inline(never)
  private static func newRule(
    _ verb: String, _ flags: Int32, _ rule: Rule, _ chain: Chain
  ) -> Request {
    var request = Request(
      "\(verb) a rule in nftables chain \(chain.description)", NFT_MSG_NEWRULE,
      flags: NLM_F_CREATE | flags, family: chain.family)
    request.put(NFTA_RULE_TABLE, chain.table)
    request.put(NFTA_RULE_CHAIN, chain.name)
    request.nest(NFTA_RULE_EXPRESSIONS) { list in
      for expression in rule.expressions { expression.put(into: &list) }
    }
    // libnftnl's user data: type 0 is a comment, its length counts the zero behind it.
    let text = Array(rule.comment.utf8) + [0]
    request.put(NFTA_RULE_USERDATA, [0, UInt8(text.count)] + text)
    return request
  }

  /// Removes a rule of the table that `chain` is in. The rule's own chain may be another one.
  ///
  /// Equivalent to: `nft delete rule inet humanz CHAIN handle N`. Message: NFT_MSG_DELRULE.
  static func deleteRule(_ rule: InstalledRule, of chain: Chain) -> Request {
    var request = Request(
      "delete a rule of nftables chain \(rule.chain)", NFT_MSG_DELRULE,
      family: chain.family)
    request.put(NFTA_RULE_TABLE, chain.table)
    request.put(NFTA_RULE_CHAIN, rule.chain)
    request.put(NFTA_RULE_HANDLE, bigEndian(rule.handle))
    return request
  }

  static func getRules(of chain: Chain, wholeTable: Bool = false) -> Request {
    var request = Request(
      "list rules of nftables chain \(chain.description)", NFT_MSG_GETRULE, family: chain.family)
    request.put(NFTA_RULE_TABLE, chain.table)
    if !wholeTable { request.put(NFTA_RULE_CHAIN, chain.name) }
    return request
  }

  static func getGeneration() -> Request {
    Request("read the nftables generation", NFT_MSG_GETGEN, family: TableFamily.inet)
  }
}

extension Socket where Family == NetfilterFamily {
  /// The rules of a chain; none if the chain, or nf_tables, is not there.
  ///
  /// Equivalent to: `nft --handle list chain inet humanz CHAIN`. Message: NFT_MSG_GETRULE with
  /// NLM_F_DUMP, which the kernel answers with that chain's alone.
  /// - Parameter wholeTable: whether to list the rules of the table's other chains too.
  @inline(never)
  borrowing func rules(
    of chain: Chain, wholeTable: Bool = false
  ) throws(NetlinkError) -> [InstalledRule] {
    do throws(NetlinkError) {
      return try dump(.getRules(of: chain, wholeTable: wholeTable), InstalledRule.init)
    } catch {
      if error.isMissing || error.isUnsupported { return [] }
      throw error
    }
  }

  /// Reads the ruleset and changes it. Starts again if another process changed it in between.
  /// - Parameter requests: reads the ruleset and returns the changes.
  @inline(never)
  borrowing func update(
    _ requests: (borrowing NetfilterSocket) throws(NetlinkError) -> [Request]
  ) throws(NetlinkError) {
    var tries = 0
    while true {
      let generation = try self.generation()
      do throws(NetlinkError) {
        return try commit(try requests(self), generation: generation)
      } catch {
        tries += 1
        if error.errno.rawValue != ERESTART || tries == 1000 { throw error }
      }
    }
  }

  /// The current generation of the ruleset: each change gives it another number.
  ///
  /// Message: NFT_MSG_GETGEN.
  private borrowing func generation() throws(NetlinkError) -> UInt32? {
    try get(.getGeneration()) { message in
      message.attributes(after: nfgenmsg.self).first(NFTA_GEN_ID)?.bigEndianUInt32
    }
  }
}

extension InstalledRule {
  /// Reads NFT_MSG_NEWRULE; nil for anything else.
  init?(_ message: Message) {
    guard isMessage(message, NFT_MSG_NEWRULE) else { return nil }
    let attributes = message.attributes(after: nfgenmsg.self)
    guard let handle = attributes.first(NFTA_RULE_HANDLE)?.value(UInt64.self) else { return nil }
    self.handle = UInt64(bigEndian: handle)
    chain = attributes.first(NFTA_RULE_CHAIN)?.string ?? ""
    comment = attributes.first(NFTA_RULE_USERDATA).flatMap { InstalledRule.comment($0.bytes) }
    expressions = attributes.first(NFTA_RULE_EXPRESSIONS)?.bytes ?? []
  }

  /// Reads libnftnl's user data: a byte of type, one of length, and so on.
  private static func comment(_ bytes: [UInt8]) -> String? {
    var rest = bytes[...]
    while let type = rest.popFirst(), let length = rest.popFirst() {
      let value = rest.prefix(Int(length))
      if type == 0 { return String(decoding: value.prefix { $0 != 0 }) }
      rest = rest.dropFirst(Int(length))
    }
    return nil
  }
}

// MARK: - Comparing

extension Rule {
  /// Whether the rule is in the kernel as it is here.
  @inline(never)
  func isInstalled(as other: InstalledRule) -> Bool {
    comment == other.comment && matches(other)
  }

  /// Whether a rule in the kernel has the same effect. Comments and counters do not count.
  @inline(never)
  func matches(_ other: InstalledRule) -> Bool {
    var request = Request("compare", NLMSG_NOOP, header: nfgenmsg())
    for expression in expressions { expression.put(into: &request) }
    return request.bytes.withUnsafeBytes { asked in
      other.expressions.withUnsafeBytes { found in
        haveSameSteps(
          Attributes(asked, from: MemoryLayout<nlmsghdr>.size + MemoryLayout<nfgenmsg>.size),
          Attributes(found))
      }
    }
  }
}

/// Whether both have the same expressions in the same order.
private func haveSameSteps(_ asked: Attributes, _ found: Attributes) -> Bool {
  var found = found
  for element in asked {
    guard let other = nextStep(&found), contains(other.nested, element.nested) else { return false }
  }
  return nextStep(&found) == nil
}

/// The next expression that is not a counter.
private func nextStep(_ expressions: inout Attributes) -> Attribute? {
  while let element = expressions.next() {
    if element.nested.first(NFTA_EXPR_NAME)?.string != "counter" { return element }
  }
  return nil
}

/// Whether all that was asked for is there. A kernel reports more attributes of an expression than it was given.
private func contains(_ found: Attributes, _ asked: Attributes) -> Bool {
  asked.allSatisfy { attribute in
    guard let other = found.first(attribute.type) else { return false }
    return attribute.isNest
      ? contains(other.nested, attribute.nested) : attribute.bytes == other.bytes
  }
}
