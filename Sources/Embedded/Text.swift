extension String {
  /// The parts of a text between the occurrences of an ASCII character.
  ///
  /// The standard library's `split` works on grapheme clusters and adds their tables to each program.
  public func fields(
    separatedBy separator: Unicode.Scalar, omittingEmpty: Bool = true
  ) -> [String] {
    Array(utf8).split(
      separator: UInt8(ascii: separator), omittingEmptySubsequences: omittingEmpty
    ).map { String(decoding: $0, as: UTF8.self) }
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
