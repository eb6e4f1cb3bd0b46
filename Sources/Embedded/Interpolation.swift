// SPDX-License-Identifier: Apache-2.0
// String interpolation by function calls. The standard library's versions of these functions are inlined
// at every use, about a hundred bytes for each piece of each message: a quarter of a program's code. The
// same functions declared here take precedence where this module is imported, and are never inlined.
extension DefaultStringInterpolation {
  /// Appends the text between two values.
  @inline(never)
  public mutating func appendLiteral(_ literal: String) { write(literal) }

  @inline(never)
  public mutating func appendInterpolation(_ value: String) { write(value) }

  @inline(never)
  public mutating func appendInterpolation(_ value: Int) {
    if value < 0 { write("-") }
    write(String(UInt64(value.magnitude), digits: 1))
  }

  // The standard library's `description` adds 1 KB to a program for each type of integer.
  public mutating func appendInterpolation(_ value: UInt8) { appendInterpolation(Int(value)) }
  public mutating func appendInterpolation(_ value: UInt16) { appendInterpolation(Int(value)) }
  public mutating func appendInterpolation(_ value: UInt32) { appendInterpolation(Int(value)) }
  public mutating func appendInterpolation(_ value: Int32) { appendInterpolation(Int(value)) }
  public mutating func appendInterpolation(_ value: UInt64) {
    write(String(value, digits: 1))
  }

  @inline(never)
  public mutating func appendInterpolation(_ value: some CustomStringConvertible) {
    write(value.description)
  }
}
