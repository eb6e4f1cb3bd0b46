// SPDX-License-Identifier: Apache-2.0
import Addresses
import Embedded

extension RangeSet {
  /// How many addresses are tried one by one before all leases are listed.
  static let probes = 64

  /// The next free address after the last one leased, so that a freed address is reused as late as possible.
  ///
  /// Usually it is the first address tried. After `probes` taken ones the store is listed once. The cost
  /// grows with the number of leases and ranges, not with the number of addresses.
  /// - Parameters:
  ///   - isTaken: whether an address is leased.
  ///   - leased: the values of all leased addresses of the family, in any order.
  /// - Returns: nil if none is free.
  func firstFree<Failure: Error>(
    after last: IPAddress?, isTaken: (IPAddress) throws(Failure) -> Bool,
    leased: () throws(Failure) -> [UInt128]
  ) throws(Failure) -> IPAddress? {
    let order = rotated(after: last)
    var tried = 0
    for span in order {
      var value = span.lower
      while tried < RangeSet.probes {
        let address = IPAddress(family, value)
        if try !isTaken(address) { return address }
        tried += 1
        if value == span.upper { break }
        value += 1
      }
      if tried == RangeSet.probes { break }
    }
    guard tried == RangeSet.probes else { return nil }
    let taken = try leased()
    guard let span = firstWithRoom(order, taken) else { return nil }
    return IPAddress(family, span.firstMissing(in: taken))
  }

  /// The first span with more addresses than leases.
  private func firstWithRoom(_ order: [AddressSpan], _ taken: [UInt128]) -> AddressSpan? {
    let ascending = AddressSpans(merging: order)
    var counts = [UInt128](repeating: 0, count: ascending.count)
    for value in taken {
      if let index = ascending.index(of: value) { counts[index] += 1 }
    }
    return order.first { span in
      counts[ascending.index(of: span.lower)!] <= span.upper - span.lower
    }
  }
}

extension AddressSpan {
  /// The lowest value of the span that is not among `taken`. It is one of the first `taken.count + 1`
  /// values: only those are marked, and nothing has to be sorted.
  /// - Precondition: the span has more values than `taken` has in it.
  fileprivate func firstMissing(in taken: [UInt128]) -> UInt128 {
    var isTaken = [Bool](repeating: false, count: taken.count + 1)
    for value in taken where value >= lower && value - lower < isTaken.count {
      isTaken[Int(value - lower)] = true
    }
    return lower + UInt128(isTaken.firstIndex(of: false)!)
  }
}
