// SPDX-License-Identifier: Apache-2.0
import Addresses
import Tables
import TestSupport
import Testing

@testable import Netfilter

/// Reading the tables of iptables-legacy.
@Suite struct LegacyForwardTests {
  private func chain(
    _ table: LegacyTable, _ family: IPAddress.Family, bytes: [UInt8]? = nil, forward: Int? = nil,
    policy: Int? = nil
  ) -> LegacyChain {
    LegacyChain(
      (bytes ?? table.bytes)[...], forward: forward ?? table.forward,
      policy: policy ?? table.policy, family)
  }

  @Test(arguments: [
    (IPAddress.Family.v4, "100.100.0.0/16"), (.v6, "fd00:100::/32"),
  ])
  func `rules of FORWARD are found by the whole comment`(
    family: IPAddress.Family, network: String
  ) {
    let table = family == .v4 ? LegacyTable.v4 : .v6
    let chain = chain(table, family)
    #expect(chain.drops && chain.rules.count == 4)
    #expect(
      chain.accepts(comment: "humanz demo", family) == [
        LegacyForward.Accept(direction: .source, prefix: prefix(network)),
        LegacyForward.Accept(direction: .destination, prefix: prefix(network)),
      ])
    #expect(
      chain.accepts(comment: "humanz demo2", family) == [
        LegacyForward.Accept(direction: .destination, prefix: prefix(network))
      ])
    for other in ["humanz", "demo", "humanz dem", "humanz demo22"] {
      #expect(chain.accepts(comment: other, family).isEmpty, "\(other)")
    }
  }

  @Test(arguments: [IPAddress.Family.v4, .v6])
  func `a chain begins and ends where the kernel says`(family: IPAddress.Family) {
    let table = family == .v4 ? LegacyTable.v4 : .v6
    // The chain INPUT, whose policy is ACCEPT.
    let input = chain(table, family, forward: 0, policy: table.forward - rule(family))
    #expect(!input.drops && input.rules.count == 1)
    #expect(input.accepts(comment: "humanz demo", family).count == 1)
    let empty = chain(table, family, forward: table.policy)
    #expect(empty.drops && empty.rules.isEmpty)
  }

  /// The size of a rule without matches, in bytes.
  private func rule(_ family: IPAddress.Family) -> Int { family == .v4 ? 152 : 208 }

  @Test(arguments: [IPAddress.Family.v4, .v6])
  func `a table that is cut off or damaged is read as far as it goes`(family: IPAddress.Family) {
    let table = family == .v4 ? LegacyTable.v4 : .v6
    for count in 0..<table.bytes.count {
      let cut = chain(table, family, bytes: Array(table.bytes[..<count]))
      #expect(cut.rules.count <= 4 && (cut.drops == false || count > table.policy))
      _ = cut.accepts(comment: "humanz demo", family)
      _ = ending(cut)
    }
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      var damaged = table.bytes
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        damaged[Int.random(in: 0..<damaged.count, using: &random)] =
          [0, 1, 0x7f, 0xff, .random(in: 0...255, using: &random)].randomElement()!
      }
      let chain = chain(
        table, family, bytes: damaged, forward: .random(in: 0...5000), policy: .random(in: 0...5000)
      )
      _ = chain.accepts(comment: "humanz demo", family)
      _ = ending(chain)
    }
  }

  private func ending(_ chain: LegacyChain) -> ForwardChain.Rules {
    var walk = RuleWalk(rules: chain.allRules)
    return walk.rules(of: "\(chain.forward)")
  }

  @Test func `a way through chains ends, and at the first rule that decides`() {
    typealias Rule = RuleWalk.Rule
    let cases: [([RuleWalk.Effect], ForwardChain.Rules)] = [
      ([], .pass), ([.nothing], .pass), ([.drop], .dropAll), ([.accept, .drop], .pass),
      ([.unknown, .drop], .dropRest), ([.return, .drop], .pass),
      // A chain that leads to itself, which the kernel does not permit.
      ([.jump("chain", returns: true), .drop], .dropAll),
      ([.jump("nowhere", returns: true), .drop], .dropAll),
      ([.jump("nowhere", returns: false), .drop], .pass),
    ]
    for (effects, expected) in cases {
      var walk = RuleWalk(rules: effects.map { Rule(chain: "chain", effect: $0) })
      #expect(walk.rules(of: "chain") == expected, "\(effects)")
    }
  }
}
