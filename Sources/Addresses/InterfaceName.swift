// SPDX-License-Identifier: Apache-2.0
/// The name of a network interface: 1 to 15 bytes, not `.` or `..`, without `/`, `:`, white space or control
/// characters (specification section 2; `dev_valid_name` in net/core/dev.c, for which the byte 0xa0 is white
/// space too). `%` is refused as well: the kernel takes such a name for a pattern and fills in a number.
public struct InterfaceName: Equatable, Sendable, CustomStringConvertible {
  public let description: String

  /// nil for a text that is not such a name.
  public init?(_ text: String) {
    guard (1...15).contains(text.utf8.count), text != ".", text != "..",
      !Array(text.utf8).contains(where: { byte in
        byte == UInt8(ascii: "/") || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "%")
          || byte <= 0x20 || byte == 0x7f || byte == 0xa0
      })
    else { return nil }
    description = text
  }
}
