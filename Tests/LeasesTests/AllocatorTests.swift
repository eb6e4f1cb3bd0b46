// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import TestSupport
import Testing

@testable import Leases

/// Ranges, sets and pools, compared with a model of plain sets and integers.
@Suite struct AllocatorTests {
  @Test(arguments: newSeeds)
  func `pools give what sets and integers say, in their order, until nothing is left`(
    seed: UInt64
  ) throws {
    var random = SeededRandom(seed: seed)
    for _ in 0..<10 {
      var model = PoolModel(&random)
      guard model.isPossible else {
        #expect(throws: CNIError.self, "seed \(seed)") { try Pools(Keys(model.configuration)) }
        continue
      }
      let pools = try Pools(Keys(model.configuration))
      var held: [[String]] = []
      for _ in 0..<60 {
        if !held.isEmpty, random.once(in: 4) {
          model.taken.subtract(held.remove(at: random.below(held.count)))
          continue
        }
        let last = model.sets.map { $0.lastGiven }
        let taken = model.taken
        let given = pools.sets.enumerated().map { index, set in
          free(in: set, after: last[index].map { IPAddress(set.family, $0) }, taken)
        }
        let expected = model.allocate()
        if let expected {
          #expect(given == expected, "seed \(seed): \(model.configuration)")
          held.append(expected)
        } else {
          #expect(given.contains(nil), "seed \(seed): \(model.configuration)")
        }
      }
    }
  }

  private func free(in set: RangeSet, after last: IPAddress?, _ taken: Set<String>) -> String? {
    set.firstFree(
      after: last, isTaken: { taken.contains($0.description) },
      leased: {
        taken.compactMap { IPAddress($0) }.filter { $0.family == set.family }.map { $0.value }
      })?.description
  }

  @Test(arguments: newSeeds)
  func `a set gives an address if and only if it is in a range and neither gateway nor excluded`(
    seed: UInt64
  ) throws {
    var random = SeededRandom(seed: seed)
    for _ in 0..<10 {
      let model = PoolModel(&random)
      guard model.isPossible else { continue }
      let pools = try Pools(Keys(model.configuration))
      for (set, modelled) in zip(pools.sets, model.sets) {
        var total: UInt128 = 0
        for range in modelled.ranges where range.last - range.first <= 64 {
          for value in range.first...range.last {
            let gives = model.gives(modelled.family, value)
            #expect(set.canLease(IPAddress(set.family, value)) == gives, "seed \(seed)")
            total += gives ? 1 : 0
          }
        }
        if modelled.ranges.allSatisfy({ $0.last - $0.first <= 64 }) {
          #expect(set.total == total, "seed \(seed)")
        }
        for range in modelled.ranges {
          for value in [range.first &- 1, range.last &+ 1]
          where set.family == .v6 || value <= 0xffff_ffff {
            let isInAnother = modelled.ranges.contains { $0.first <= value && value <= $0.last }
            #expect(isInAnother || !set.canLease(IPAddress(set.family, value)), "seed \(seed)")
          }
        }
      }
    }
  }

  @Test(arguments: newSeeds)
  func `the order after an address has each address once, that address last`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let model = PoolModel(&random)
    guard model.isPossible else { return }
    for (set, modelled) in zip(try Pools(Keys(model.configuration)).sets, model.sets) {
      let range = modelled.ranges[random.below(modelled.ranges.count)]
      let last = range.first + UInt128(random.below(Int(min(range.last - range.first, 60)) + 1))
      let spans = set.rotated(after: IPAddress(set.family, last))
      #expect(spans.reduce(0) { $0 + ($1.upper - $1.lower) + 1 } == set.total, "seed \(seed)")
      for (index, span) in spans.enumerated() {
        #expect(span.lower <= span.upper)
        for other in spans[(index + 1)...] {
          #expect(span.upper < other.lower || other.upper < span.lower, "seed \(seed)")
        }
      }
      if set.canLease(IPAddress(set.family, last)) { #expect(spans.last?.upper == last) }
    }
  }

  @Test func `the last addresses of IPv6 run out without an overflow`() throws {
    let pools = try Pools(
      Keys(JSONObject(("subnet", .string("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00/120")))))
    let all = pools.sets[0].rotated(after: nil).flatMap { $0.lower...$0.upper }
    #expect(all.count == 254)
    for left in [0, 1, 100] {
      let taken = Set(all.dropLast(left))
      let free = pools.sets[0].firstFree(
        after: nil, isTaken: { taken.contains($0.value) }, leased: { Array(taken) })
      #expect(free?.value == (left == 0 ? nil : all[all.count - left]))
    }
  }

  @Test func `past a row of taken addresses the leases are listed once`() throws {
    let pools = try Pools(Keys(JSONObject(("subnet", .string("fd00::/64")))))
    let taken = Set((2..<100_000).map { (0xfd00 as UInt128) << 112 + UInt128($0) })
    var asked = 0
    var listed = 0
    let free = pools.sets[0].firstFree(
      after: nil,
      isTaken: {
        asked += 1
        return taken.contains($0.value)
      },
      leased: {
        listed += 1
        return Array(taken)
      })
    #expect(free?.description == "fd00::1:86a0")
    #expect(asked == RangeSet.probes)
    #expect(listed == 1)
  }
}
