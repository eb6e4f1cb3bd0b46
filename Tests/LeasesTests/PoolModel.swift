// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import TestSupport

@testable import Leases

/// A configuration of pools, and a model of it that consists of plain sets and integers.
struct PoolModel {
  /// A range, in the order of its addresses.
  struct Range {
    var first: UInt128
    var last: UInt128
    var gateway: UInt128?
  }

  struct Set {
    var family: IPAddress.Family
    var ranges: [Range]
    var lastGiven: UInt128?
  }

  var sets: [Set]
  var excluded: [(family: IPAddress.Family, values: ClosedRange<UInt128>)]
  let configuration: JSONObject
  var taken: Swift.Set<String> = []

  /// Sets of ranges in disjoint subnets, with two to 2^64 addresses.
  init(_ random: inout SeededRandom) {
    sets = []
    excluded = []
    var ranges: [JSON] = []
    var subnet = 0
    for _ in 0...random.below(3) {
      let family: IPAddress.Family = random.once(in: 2) ? .v4 : .v6
      var set = Set(family: family, ranges: [], lastGiven: nil)
      var list: [JSON] = []
      for _ in 0...random.below(3) {
        subnet += 1
        let (range, keys) = PoolModel.range(family, subnet, &random)
        set.ranges.append(range)
        list.append(.object(keys))
      }
      sets.append(set)
      ranges.append(.array(list))
    }
    var exclude: [JSON] = []
    for _ in 0..<random.below(5) {
      let set = sets[random.below(sets.count)]
      let range = set.ranges[random.below(set.ranges.count)]
      let near = range.first + UInt128(random.below(Int(min(range.last - range.first, 60)) + 1))
      let prefix = IPPrefix(
        IPAddress(set.family, near), length: set.family.bits - random.below(4))
      exclude.append(.string(prefix.description))
      excluded.append((set.family, prefix.first.value...prefix.last.value))
    }
    configuration = JSONObject(("ranges", .array(ranges)), ("exclude", .array(exclude)))
  }

  private static func range(
    _ family: IPAddress.Family, _ number: Int, _ random: inout SeededRandom
  ) -> (Range, JSONObject) {
    let hostBits = family == .v6 && random.once(in: 4) ? 64 : 1 + random.below(5)
    // Also the last subnets of each family.
    let fromEnd = random.once(in: 3)
    let span = UInt128(1) << UInt128(family == .v4 ? 8 : 68)
    let top: UInt128 = family == .v4 ? 0xffff_ffff : .max
    let base = fromEnd ? top - UInt128(number) * span + 1 : UInt128(number) * span
    let offset =
      fromEnd && number == 1 ? span - (UInt128(1) << UInt128(hostBits)) : 0
    let subnet = IPPrefix(IPAddress(family, base + offset), length: family.bits - hostBits)
    var first = subnet.first.value + (hostBits == 1 ? 0 : 1)
    var last = subnet.last.value - (family == .v4 && hostBits > 1 ? 1 : 0)
    var keys = JSONObject(("subnet", .string(subnet.description)))
    if random.once(in: 3) {
      first += UInt128(random.below(Int(min(last - first, 40)) + 1))
      keys["rangeStart"] = .string(IPAddress(family, first).description)
    }
    if random.once(in: 3) {
      last = first + UInt128(random.below(Int(min(last - first, 40)) + 1))
      keys["rangeEnd"] = .string(IPAddress(family, last).description)
    }
    var gateway = hostBits == 1 ? nil : subnet.first.value + 1
    if random.once(in: 3) {
      gateway = first + UInt128(random.below(Int(min(last - first, 40)) + 1))
      keys["gateway"] = .string(IPAddress(family, gateway!).description)
    }
    return (Range(first: first, last: last, gateway: gateway), keys)
  }

  /// Whether an address may be leased at all.
  func gives(_ family: IPAddress.Family, _ value: UInt128) -> Bool {
    !excluded.contains { $0.family == family && $0.values.contains(value) }
      && !sets.contains { set in
        set.family == family && set.ranges.contains { $0.gateway == value }
      }
  }

  /// Whether each set has an address that may be leased.
  var isPossible: Bool { sets.indices.allSatisfy { next(in: $0, after: nil, taken: []) != nil } }

  /// The next address of a set: the first free one after the last one leased.
  func next(in index: Int, after last: UInt128?, taken: Swift.Set<String>) -> UInt128? {
    let set = sets[index]
    let start = last.flatMap { last in
      set.ranges.firstIndex { $0.first <= last && last <= $0.last }
    }
    let order: [(UInt128, UInt128)]
    if let start, let last {
      let range = set.ranges[start]
      let rest = last < range.last ? [(last + 1, range.last)] : []
      order =
        rest + set.ranges[(start + 1)...].map { ($0.first, $0.last) }
        + set.ranges[..<start].map { ($0.first, $0.last) } + [(range.first, last)]
    } else {
      order = set.ranges.map { ($0.first, $0.last) }
    }
    for (first, last) in order {
      var value = first
      while true {
        if gives(set.family, value), !taken.contains(IPAddress(set.family, value).description) {
          return value
        }
        if value == last { break }
        value += 1
      }
    }
    return nil
  }

  /// The addresses that the next ADD gets, in the order of the sets; nil if a set has none.
  /// - Parameter wish: the address of the first set that the ADD requests.
  mutating func allocate(_ wish: IPAddress? = nil) -> [String]? {
    var values: [UInt128] = []
    for index in sets.indices {
      let value: UInt128?
      if index == 0, let wish {
        value = isFree(wish) ? wish.value : nil
      } else {
        value = next(in: index, after: sets[index].lastGiven, taken: taken)
      }
      guard let value else { return nil }
      values.append(value)
    }
    for (index, value) in values.enumerated() { sets[index].lastGiven = value }
    let given = zip(sets, values).map { IPAddress($0.family, $1).description }
    taken.formUnion(given)
    return given
  }

  private func isFree(_ address: IPAddress) -> Bool {
    gives(address.family, address.value) && !taken.contains(address.description)
  }
}
