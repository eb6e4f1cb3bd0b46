// String interpolation by function calls. The standard library's versions of these functions are inlined
// at every use, about a hundred bytes for each piece of each message: a quarter of a program's code. The
// same functions declared here take precedence where this module is imported, and are never inlined.
extension DefaultStringInterpolation {
  @inline(never)
  public mutating func appendLiteral(_ literal: String) { write(literal) }

  @inline(never)
  public mutating func appendInterpolation(_ value: String) { write(value) }

  @inline(never)
  public mutating func appendInterpolation(_ value: Int) { write(value.description) }

  @inline(never)
  public mutating func appendInterpolation(_ value: some CustomStringConvertible) {
    write(value.description)
  }
}
