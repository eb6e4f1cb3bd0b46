// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Embedded

@Suite struct SortingTests {
  @Test func `elements come in order, equal ones as they were`() {
    var generator = SystemRandomNumberGenerator()
    for count in [0, 1, 2, 3, 7, 64, 65, 1000] {
      let pairs = (0..<count).map { (Int.random(in: 0...count / 3, using: &generator), $0) }
      let ours = pairs.inOrder { $0.0 < $1.0 }
      let expected = pairs.sorted { $0 < $1 }
      #expect(ours.map { $0.0 } == expected.map { $0.0 })
      #expect(ours.map { $0.1 } == expected.map { $0.1 })
    }
  }

  @Test func `elements in order are looked at once`() {
    var comparisons = 0
    let sorted = Array(0..<1000)
    let ours = sorted.inOrder {
      comparisons += 1
      return $0 < $1
    }
    #expect(ours == sorted && comparisons == 999)
  }

  @Test func `a sorted array has what it has`() {
    let even = (0..<50).map { $0 * 2 }
    for value in -1...101 {
      #expect(even.containsSorted(value) == even.contains(value))
    }
    #expect(![Int]().containsSorted(0))
  }

  @Test func `strings are sorted by their bytes`() {
    #expect(
      ["b", "\u{e9}", "e\u{301}", "a", "", "B"].sortedByBytes().map { Array($0.utf8) }
        == ["", "B", "a", "b", "e\u{301}", "\u{e9}"].map { Array($0.utf8) })
  }
}
