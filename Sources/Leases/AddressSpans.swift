// SPDX-License-Identifier: Apache-2.0
import Addresses
import Embedded

/// Addresses in a row of one family, as numbers; both ends belong to it.
struct AddressSpan: Equatable, Sendable {
  var lower: UInt128
  var upper: UInt128

  func contains(_ value: UInt128) -> Bool { lower <= value && value <= upper }
}

/// Spans in ascending order without overlap: looked up by binary search.
struct AddressSpans: Equatable, Sendable {
  private let spans: [AddressSpan]

  /// - Parameter spans: in any order; they may overlap.
  init(merging spans: [AddressSpan]) {
    var merged: [AddressSpan] = []
    for span in spans.inOrder(by: { $0.lower < $1.lower }) {
      if let last = merged.last, span.lower <= last.upper {
        merged[merged.count - 1].upper = max(last.upper, span.upper)
      } else {
        merged.append(span)
      }
    }
    self.spans = merged
  }

  var count: Int { spans.count }

  subscript(index: Int) -> AddressSpan { spans[index] }

  /// The first span that ends at a value or above it; `count` if there is none.
  private func firstIndex(endingAtOrAbove value: UInt128) -> Int {
    var (low, high) = (0, spans.count)
    while low < high {
      let middle = (low + high) / 2
      if spans[middle].upper < value { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The index of the span that a value is in; nil if it is in none.
  func index(of value: UInt128) -> Int? {
    let index = firstIndex(endingAtOrAbove: value)
    return index < spans.count && spans[index].lower <= value ? index : nil
  }

  /// The parts of a span that are in none of these.
  func gaps(in span: AddressSpan) -> [AddressSpan] {
    var gaps: [AddressSpan] = []
    var lower = span.lower
    var index = firstIndex(endingAtOrAbove: lower)
    while index < spans.count, spans[index].lower <= span.upper {
      if lower < spans[index].lower {
        gaps.append(AddressSpan(lower: lower, upper: spans[index].lower - 1))
      }
      guard spans[index].upper < span.upper else { return gaps }
      lower = spans[index].upper + 1
      index += 1
    }
    return gaps + [AddressSpan(lower: lower, upper: span.upper)]
  }
}
