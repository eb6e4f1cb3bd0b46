// SPDX-License-Identifier: Apache-2.0
#if hasFeature(Embedded)
  /// Compares strings by bytes for `==` and `<`. It replaces the standard library's function with this
  /// symbol, which adds Unicode normalization, 10 KB, to each program: the linker prefers this strong
  /// symbol to the library's weak one. The symbol's name is that of Swift 6.3.
  @_silgen_name(
    "$es22_stringCompareInternal__9expectingSbs11_StringGutsV_ADs01_E16ComparisonResultOtF")
  public func compareStrings(_ left: String, _ right: String, expectingLess: Bool) -> Bool {
    let order = compareBytes(left, right)
    return expectingLess ? order < 0 : order == 0
  }
#endif
