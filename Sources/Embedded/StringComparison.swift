#if hasFeature(Embedded)
  import CNetlink

  /// `==` and `<` of strings, by their bytes: in place of the standard library's function of this
  /// symbol, which would bring normalization, 10 KB, into each plugin for texts that are not ASCII.
  /// (A strong symbol takes the place of the library's weak one where a program is linked.)
  @_silgen_name(
    "$es22_stringCompareInternal__9expectingSbs11_StringGutsV_ADs01_E16ComparisonResultOtF")
  public func compareStrings(_ left: String, _ right: String, expectingLess: Bool) -> Bool {
    let order = left.utf8.withContiguousStorageIfAvailable { left in
      right.utf8.withContiguousStorageIfAvailable { right in
        let order = memcmp(left.baseAddress!, right.baseAddress!, min(left.count, right.count))
        return order == 0 ? left.count - right.count : Int(order)
      }!
    }!
    return expectingLess ? order < 0 : order == 0
  }
#endif
