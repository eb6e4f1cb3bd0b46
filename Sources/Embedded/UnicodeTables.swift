// SPDX-License-Identifier: Apache-2.0
#if hasFeature(Embedded)
  // The Unicode tables of the standard library's string functions. All strings here are compared by code
  // points (as RFC 8259 section 8.3 advises for JSON), so every answer is "no other form". This replaces
  // 36 KB of tables in each program.

  @_cdecl("_swift_stdlib_getNormData")
  public func normalizationData(_ scalar: UInt32) -> UInt16 { 0 }

  @_cdecl("_swift_stdlib_getDecompositionEntry")
  public func decompositionEntry(_ scalar: UInt32) -> UInt32 { 0 }

  @_cdecl("_swift_stdlib_getComposition")
  public func composition(_ first: UInt32, _ second: UInt32) -> UInt32 { .max }

  @_cdecl("_swift_stdlib_getGraphemeBreakProperty")
  public func graphemeBreakProperty(_ scalar: UInt32) -> UInt8 { 0 }

  @_cdecl("_swift_stdlib_isInCB_Consonant")
  public func isConjunctConsonant(_ scalar: UInt32) -> Bool { false }

  @_cdecl("_swift_stdlib_isExtendedPictographic")
  public func isExtendedPictographic(_ scalar: UInt32) -> Bool { false }

  @_silgen_name("_swift_stdlib_nfd_decompositions")
  nonisolated(unsafe) public let decompositions: UnsafePointer<UInt8>? = nil
#endif
