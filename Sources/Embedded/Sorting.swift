// SPDX-License-Identifier: Apache-2.0
extension Array {
  /// The elements in ascending order; equal ones keep their order. Cost: one pass if they are in order
  /// already, otherwise n log n comparisons.
  ///
  /// All types share one sorting function: the standard library's adds 4 KB to a program for each type.
  public func inOrder(by isBefore: (Element, Element) -> Bool) -> [Element] {
    guard let order = order(of: count, by: { isBefore(self[$0], self[$1]) }) else { return self }
    return order.map { self[$0] }
  }
}

extension Array where Element: Comparable {
  /// The elements in ascending order; equal ones keep their order.
  public func inOrder() -> [Element] { inOrder { $0 < $1 } }
}

/// The order of `count` elements, as their indices; nil if they are in order already. A bottom-up merge
/// sort.
@inline(never)
private func order(of count: Int, by isBefore: (Int, Int) -> Bool) -> [Int]? {
  var isInOrder = true
  var index = 1
  while isInOrder, index < count {
    isInOrder = !isBefore(index, index - 1)
    index += 1
  }
  if isInOrder { return nil }
  var order = Array(0..<count)
  var merged = order
  var width = 1
  while width < count {
    var start = 0
    while start < count {
      let middle = min(start + width, count)
      let end = min(middle + width, count)
      var (left, right) = (start, middle)
      for place in start..<end {
        if left < middle, right == end || !isBefore(order[right], order[left]) {
          merged[place] = order[left]
          left += 1
        } else {
          merged[place] = order[right]
          right += 1
        }
      }
      start = end
    }
    swap(&order, &merged)
    width *= 2
  }
  return order
}
