// SPDX-License-Identifier: Apache-2.0
/// Pseudo-random numbers, the same for the same seed: SplitMix64.
package struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }

  package mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

  package mutating func one<Element>(of elements: [Element]) -> Element {
    elements[below(elements.count)]
  }

  /// True in one of `times` calls on average.
  package mutating func once(in times: Int) -> Bool { below(times) == 0 }
}

/// New seeds in every run. A failure's message names its seed: put it here to repeat the failure.
package let newSeeds: [UInt64] = (0..<40).map { _ in .random(in: 0..<1_000_000) }
