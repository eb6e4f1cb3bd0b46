import Addresses

/// Pools of which an attachment gets one address: an element of `ranges`.
public struct RangeSet: Equatable {
  /// Addresses in a row, both ends among them, that may all be given.
  struct Span: Equatable {
    var lower: UInt128
    var upper: UInt128
  }

  public let ranges: [AddressRange]
  /// What is left of each range without excluded addresses, in the order of `ranges`.
  private let spans: [(range: Int, span: Span)]

  /// - Precondition: the ranges are of one family and do not overlap.
  init(_ ranges: [AddressRange], excluding excluded: [IPPrefix]) {
    self.ranges = ranges
    let family = ranges[0].subnet.family
    let holes = excluded.filter { $0.family == family }
      .map { Span(lower: $0.first.value, upper: $0.last.value) }
    var spans: [(range: Int, span: Span)] = []
    for (index, range) in ranges.enumerated() {
      var left = [Span(lower: range.first.value, upper: range.last.value)]
      for hole in holes { left = left.flatMap { $0.without(hole) } }
      spans += left.map { (index, $0) }
    }
    self.spans = spans
  }

  public static func == (left: RangeSet, right: RangeSet) -> Bool {
    left.ranges == right.ranges && left.spans.map { $0.span } == right.spans.map { $0.span }
  }

  public var family: IPAddress.Family { ranges[0].subnet.family }

  /// How many addresses can be given.
  public var total: UInt128 { spans.reduce(0) { $0 &+ ($1.span.upper - $1.span.lower) &+ 1 } }

  /// Whether an address can be given.
  public func gives(_ address: IPAddress) -> Bool {
    address.family == family && spans.contains { $0.span.contains(address.value) }
  }

  /// The range an address is in.
  public func range(of address: IPAddress) -> AddressRange? {
    ranges.first { $0.contains(address) }
  }

  /// The spans in the order in which they are tried: from the address after `last` round to `last`
  /// itself; from the start where `last` is nil or in no range.
  func rotated(after last: IPAddress?) -> [Span] {
    guard let last, let range = ranges.firstIndex(where: { $0.contains(last) }) else {
      return spans.map { $0.span }
    }
    var before: [Span] = []
    var after: [Span] = []
    for (index, span) in spans {
      if index < range || index == range && span.upper <= last.value {
        before.append(span)
      } else if index == range && span.contains(last.value) {
        before.append(Span(lower: span.lower, upper: last.value))
        after.append(Span(lower: last.value + 1, upper: span.upper))
      } else {
        after.append(span)
      }
    }
    return after + before
  }
}

extension RangeSet.Span {
  func contains(_ value: UInt128) -> Bool { lower <= value && value <= upper }

  fileprivate func without(_ hole: RangeSet.Span) -> [RangeSet.Span] {
    guard hole.lower <= upper, lower <= hole.upper else { return [self] }
    var left: [RangeSet.Span] = []
    if lower < hole.lower { left.append(RangeSet.Span(lower: lower, upper: hole.lower - 1)) }
    if hole.upper < upper { left.append(RangeSet.Span(lower: hole.upper + 1, upper: upper)) }
    return left
  }
}

extension RangeSet: CustomStringConvertible {
  public var description: String { ranges.map { $0.description }.joined(separator: ", ") }
}
