import CNI
import CNetlink

/// The attributes of a message that was received: a view that checks every length against the bytes
/// there are.
public struct Attributes {
  private let bytes: ArraySlice<UInt8>

  /// - Parameter bytes: what follows the family's own header in a message, or a nested payload.
  public init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

  /// Calls `body` with each attribute's type (without NLA_F_NESTED and byte order flags) and payload.
  /// Stops where a length cannot be.
  public func forEach(_ body: (Int, ArraySlice<UInt8>) -> Void) {
    var rest = bytes
    while rest.count >= 4 {
      let length = Int(rest.integer(at: 0, as: UInt16.self))
      guard length >= 4, length <= rest.count else { return }
      let type = Int(rest.integer(at: 2, as: UInt16.self)) & 0x3fff
      body(type, rest.prefix(length).dropFirst(4))
      rest = rest.dropFirst((length + 3) & ~3)
    }
  }

  /// The payload of an attribute; the last where it occurs more than once.
  public subscript(type: Int) -> ArraySlice<UInt8>? {
    var found: ArraySlice<UInt8>?
    forEach { if $0 == type { found = $1 } }
    return found
  }
}

extension ArraySlice<UInt8> {
  /// The integer in host byte order at an offset from the slice's start; 0 past its end.
  public func integer<Value: FixedWidthInteger>(
    at offset: Int = 0, as type: Value.Type = Value.self
  ) -> Value {
    dropFirst(offset).structure(Value.zero) ?? 0
  }

  /// The structure at the slice's start, whatever its alignment; nil where it is cut off.
  /// - Parameter zero: a value to fill.
  func structure<Value>(_ zero: Value) -> Value? {
    guard count >= MemoryLayout<Value>.size else { return nil }
    var value = zero
    Swift.withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: prefix($0.count)) }
    return value
  }

  /// The text up to a zero byte.
  public var text: String { String(decoding: prefix { $0 != 0 }, as: UTF8.self) }
}
