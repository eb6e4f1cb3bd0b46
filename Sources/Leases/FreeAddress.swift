import Addresses

extension RangeSet {
  /// How many addresses in a row are asked for one by one before all leases are listed.
  static let probes = 64

  /// The next address after the last one given that is free, so that a freed one rests as long as
  /// possible.
  ///
  /// Mostly that is the first one asked for; past `probes` taken ones the store is listed once, which
  /// costs the number of leases and not the size of the pool.
  /// - Parameters:
  ///   - isTaken: whether there is a lease of an address.
  ///   - leased: the values of all leased addresses of the family, in any order.
  /// - Returns: nil where none is free.
  func firstFree<Failure: Error>(
    after last: IPAddress?, isTaken: (IPAddress) throws(Failure) -> Bool,
    leased: () throws(Failure) -> [UInt128]
  ) throws(Failure) -> IPAddress? {
    let order = rotated(after: last)
    var asked = 0
    for span in order {
      var value = span.lower
      while asked < RangeSet.probes {
        let address = IPAddress(family, value)
        if try !isTaken(address) { return address }
        asked += 1
        if value == span.upper { break }
        value += 1
      }
    }
    guard asked == RangeSet.probes else { return nil }
    let taken = try leased()
    for span in order {
      if let value = span.firstMissing(in: taken) { return IPAddress(family, value) }
    }
    return nil
  }
}

extension RangeSet.Span {
  /// The lowest value of the span that is not among others. It is never further from the start than
  /// there are others: so much of the span is marked off, and no sorting is needed.
  fileprivate func firstMissing(in taken: [UInt128]) -> UInt128? {
    var isTaken = [Bool](repeating: false, count: taken.count + 1)
    for value in taken where value >= lower && value - lower < isTaken.count {
      isTaken[Int(value - lower)] = true
    }
    let distance = UInt128(isTaken.firstIndex(of: false)!)
    return distance <= upper - lower ? lower + distance : nil
  }
}
