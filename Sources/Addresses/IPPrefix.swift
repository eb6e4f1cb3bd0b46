// SPDX-License-Identifier: Apache-2.0
import Embedded

/// An address with a prefix length, as in `100.100.1.2/24`.
///
/// The host bits are kept, as in a result's `address`. A network is a prefix whose host bits are zero.
public struct IPPrefix: Equatable, Sendable {
  /// The address. Its host bits may be set.
  public let address: IPAddress
  /// The number of leading bits that name the network: 0 to 32 or 128.
  public let length: Int

  /// - Precondition: `length` is 0 to the family's width.
  public init(_ address: IPAddress, length: Int) {
    precondition((0...address.family.bits).contains(length), "prefix length out of range")
    self.address = address
    self.length = length
  }

  /// Reads `ADDRESS/LENGTH` (RFC 4632 section 3.1, RFC 4291 section 2.3); nil for any other text. With an
  /// IPv4-mapped IPv6 address the length counts bits of the IPv4 address in it: `::ffff:10.0.0.0/24` is
  /// 10.0.0.0/24, and a length above 32 is refused.
  public init?(_ text: String) {
    let bytes = Array(text.utf8)
    guard let slash = bytes.firstIndex(of: UInt8(ascii: "/")),
      let address = IPAddress(ascii: bytes[..<slash])
    else { return nil }
    let digits = bytes[(slash + 1)...]
    var length = 0
    for byte in digits {
      guard let digit = decimalDigit(byte) else { return nil }
      length = length * 10 + Int(digit)
      guard length <= address.family.bits else { return nil }
    }
    // No leading zeros.
    guard digits.count == 1 || digits.count > 1 && digits.first != UInt8(ascii: "0") else {
      return nil
    }
    self.init(address, length: length)
  }

  /// The prefix that covers one address: /32 or /128.
  public init(host address: IPAddress) {
    self.init(address, length: address.family.bits)
  }

  /// `0.0.0.0/0` or `::/0`.
  public static func everything(_ family: IPAddress.Family) -> IPPrefix {
    IPPrefix(IPAddress(family, 0), length: 0)
  }

  /// The family of the address.
  public var family: IPAddress.Family { address.family }

  /// The host bits, as a mask.
  private var hostMask: UInt128 {
    let bits = family.bits - length
    return bits == 0 ? 0 : UInt128.max &>> UInt128(truncatingIfNeeded: 128 - bits)
  }

  /// The prefix with its host bits cleared.
  public var network: IPPrefix {
    IPPrefix(IPAddress(family, address.value & ~hostMask), length: length)
  }

  /// Whether the host bits are zero.
  public var isNetwork: Bool { address.value & hostMask == 0 }

  /// The lowest address of the network: the network address.
  public var first: IPAddress { network.address }

  /// The highest address of the network: for IPv4 up to /30 the broadcast address.
  public var last: IPAddress { IPAddress(family, address.value | hostMask) }

  /// Whether an address is in the network; false for one of another family.
  public func contains(_ other: IPAddress) -> Bool {
    other.family == family && other.value & ~hostMask == address.value & ~hostMask
  }

  /// Whether every address of the other prefix is in this one; false for a prefix of another family.
  public func contains(_ other: IPPrefix) -> Bool {
    other.length >= length && contains(other.address)
  }

  /// Whether the two networks have an address in common; false for a prefix of another family.
  public func overlaps(_ other: IPPrefix) -> Bool {
    contains(other.address) || other.contains(address)
  }
}

extension IPPrefix: Comparable {
  /// By address, then the shorter prefix first.
  public static func < (left: IPPrefix, right: IPPrefix) -> Bool {
    left.address == right.address ? left.length < right.length : left.address < right.address
  }
}

extension IPPrefix: CustomStringConvertible {
  public var description: String { "\(address)/\(length)" }
}
