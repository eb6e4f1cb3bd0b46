// SPDX-License-Identifier: Apache-2.0
extension Array where Element: Comparable {
  /// Whether an array in ascending order has an element, by binary search. (`Set` needs hashing, and hashing
  /// needs `arc4random_buf`, which musl does not have.)
  public func containsSorted(_ element: Element) -> Bool {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle] < element { low = middle + 1 } else { high = middle }
    }
    return low < count && self[low] == element
  }
}
