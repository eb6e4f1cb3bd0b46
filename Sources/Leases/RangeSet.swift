// SPDX-License-Identifier: Apache-2.0
import Addresses
import Embedded

/// Ranges of which an attachment gets one address: an element of `ranges`.
public struct RangeSet: Equatable, Sendable {
  /// At least one range; all are of one family, and none overlaps with another.
  public let ranges: [AddressRange]
  /// What can be leased of each range, in the order of `ranges`.
  private let spans: [(range: Int, span: AddressSpan)]
  /// The same spans in ascending order.
  private let ascending: AddressSpans

  /// - Parameter excluded: addresses of the family that are never leased.
  /// - Precondition: the ranges are of one family and do not overlap.
  init(_ ranges: [AddressRange], excluding excluded: AddressSpans) {
    self.ranges = ranges
    var spans: [(range: Int, span: AddressSpan)] = []
    for (index, range) in ranges.enumerated() {
      let whole = AddressSpan(lower: range.first.value, upper: range.last.value)
      spans += excluded.gaps(in: whole).map { (index, $0) }
    }
    self.spans = spans
    ascending = AddressSpans(merging: spans.map { $0.span })
  }

  public static func == (left: RangeSet, right: RangeSet) -> Bool {
    left.ranges == right.ranges && left.ascending == right.ascending
  }

  /// The family of the ranges.
  public var family: IPAddress.Family { ranges[0].subnet.family }

  /// How many addresses can be leased, the leased ones included.
  public var total: UInt128 { spans.reduce(0) { $0 &+ ($1.span.upper - $1.span.lower) &+ 1 } }

  /// Whether an address can be leased to an attachment: it is in a range, no gateway and not excluded.
  /// Another attachment may have it.
  public func canLease(_ address: IPAddress) -> Bool {
    address.family == family && ascending.index(of: address.value) != nil
  }

  /// The range an address is in; nil if it is in none.
  public func range(of address: IPAddress) -> AddressRange? {
    ranges.first { $0.contains(address) }
  }

  /// The spans in the order in which they are tried: from the address after `last` round to `last`
  /// itself; from the start if `last` is nil or in no range.
  func rotated(after last: IPAddress?) -> [AddressSpan] {
    guard let last, let range = ranges.firstIndex(where: { $0.contains(last) }) else {
      return spans.map { $0.span }
    }
    var before: [AddressSpan] = []
    var after: [AddressSpan] = []
    for (index, span) in spans {
      if index < range || index == range && span.upper <= last.value {
        before.append(span)
      } else if index == range && span.contains(last.value) {
        before.append(AddressSpan(lower: span.lower, upper: last.value))
        after.append(AddressSpan(lower: last.value + 1, upper: span.upper))
      } else {
        after.append(span)
      }
    }
    return after + before
  }
}

extension RangeSet: CustomStringConvertible {
  /// The ranges; of many the first ones, and how many more there are.
  public var description: String {
    let shown = ranges.count > 4 ? ranges.prefix(3) : ranges[...]
    let words = shown.map { $0.description }.joined(separator: ", ")
    return shown.count == ranges.count
      ? words : "\(words) and \(ranges.count - shown.count) more ranges"
  }
}
