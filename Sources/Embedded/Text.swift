extension String {
  /// The parts of a text between the occurrences of an ASCII character.
  ///
  /// The standard library's `split` works on grapheme clusters and adds their tables to each program.
  @inline(never)
  public func fields(
    separatedBy separator: Unicode.Scalar, omittingEmpty: Bool = true
  ) -> [String] {
    var fields: [String] = []
    var field: [UInt8] = []
    for byte in Array(utf8) + [UInt8(ascii: separator)] {
      guard byte == UInt8(ascii: separator) else {
        field.append(byte)
        continue
      }
      if !omittingEmpty || !field.isEmpty { fields.append(String(decoding: field, as: UTF8.self)) }
      field.removeAll(keepingCapacity: true)
    }
    return fields
  }
}

extension [String] {
  /// Sorted by bytes, the same in every build.
  @inline(never)
  public func sortedByBytes() -> [String] {
    inOrder { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}

extension String {
  /// Whether both have the same code points. `==` also takes different forms of a character for the
  /// same where the standard library has its tables.
  @inline(never)
  public func isSame(as other: String) -> Bool {
    utf8.elementsEqual(other.utf8)
  }
}
