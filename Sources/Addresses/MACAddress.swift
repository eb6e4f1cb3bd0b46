// SPDX-License-Identifier: Apache-2.0
import Embedded

/// A 48-bit hardware address (IEEE 802).
public struct MACAddress: Equatable, Sendable {
  /// The six bytes, in the order in which they are sent.
  public let bytes: [UInt8]

  /// - Precondition: there are six bytes.
  public init(bytes: [UInt8]) {
    precondition(bytes.count == 6, "a MAC address has six bytes")
    self.bytes = bytes
  }

  /// Reads six pairs of hexadecimal digits with `:` or `-` between them; nil for any other text.
  public init?(_ text: String) {
    let characters = Array(text.utf8)
    guard characters.count == 17 else { return nil }
    let separator = characters[2]
    guard separator == UInt8(ascii: ":") || separator == UInt8(ascii: "-") else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: 17, by: 3) {
      guard let high = hexadecimalDigit(characters[index]),
        let low = hexadecimalDigit(characters[index + 1]),
        index == 15 || characters[index + 2] == separator
      else { return nil }
      bytes.append(high << 4 | low)
    }
    self.bytes = bytes
  }

  /// Whether an interface can have the address: it is neither multicast nor all zero.
  public var isUsable: Bool { bytes[0] & 1 == 0 && bytes != [0, 0, 0, 0, 0, 0] }

  /// A locally administered unicast address. Its other 46 bits are those of the low 48 bits of `seed`: the
  /// same seed always gives the same address.
  public static func local(_ seed: UInt64) -> MACAddress {
    var bytes = (0..<6).map { UInt8(truncatingIfNeeded: seed >> (8 * UInt64($0))) }
    bytes[0] = bytes[0] & 0xfc | 0x02
    return MACAddress(bytes: bytes)
  }
}

extension MACAddress: CustomStringConvertible {
  /// Lower-case pairs with colons between, as `ip link` prints it.
  public var description: String {
    bytes.map { String(UInt64($0), digits: 2, radix: 16) }.joined(separator: ":")
  }
}
