// SPDX-License-Identifier: Apache-2.0
#if hasFeature(Embedded)
  // The Unicode tables of the standard library's string functions. All strings here are compared by code
  // points (as RFC 8259 section 8.3 advises for JSON), so every answer is "no other form". This replaces
  // 36 KB of tables in each program.

  /// The normalization properties of a character: none.
  @_cdecl("_swift_stdlib_getNormData")
  public func normalizationData(_ scalar: UInt32) -> UInt16 { 0 }

  /// The place of a character's decomposition in the table: it has none.
  @_cdecl("_swift_stdlib_getDecompositionEntry")
  public func decompositionEntry(_ scalar: UInt32) -> UInt32 { 0 }

  /// The character that two others compose: there is none.
  @_cdecl("_swift_stdlib_getComposition")
  public func composition(_ first: UInt32, _ second: UInt32) -> UInt32 { .max }

  /// The property by which grapheme clusters are found: no text here is divided into them.
  @_cdecl("_swift_stdlib_getGraphemeBreakProperty")
  public func graphemeBreakProperty(_ scalar: UInt32) -> UInt8 { 0 }

  /// Whether a character joins grapheme clusters as a consonant of India's scripts: none does.
  @_cdecl("_swift_stdlib_isInCB_Consonant")
  public func isConjunctConsonant(_ scalar: UInt32) -> Bool { false }

  /// Whether a character joins grapheme clusters as an emoji: none does.
  @_cdecl("_swift_stdlib_isExtendedPictographic")
  public func isExtendedPictographic(_ scalar: UInt32) -> Bool { false }

  /// The table of decompositions: it has no entry.
  @_silgen_name("_swift_stdlib_nfd_decompositions")
  nonisolated(unsafe) public let decompositions: UnsafePointer<UInt8>? = nil
#endif
