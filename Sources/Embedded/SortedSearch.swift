// SPDX-License-Identifier: Apache-2.0
extension Array where Element: Comparable {
  /// Whether a sorted array has an element, by binary search. (`Set` would need hashing, and hashing a
  /// function that the programs do without.)
  public func containsSorted(_ element: Element) -> Bool {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle] < element { low = middle + 1 } else { high = middle }
    }
    return low < count && self[low] == element
  }
}
