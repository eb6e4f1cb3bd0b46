/// The name of a network interface: 1 to 15 bytes, not `.` or `..`, without `/`, `:` and white space
/// (specification section 2; `dev_valid_name` in net/core/dev.c), and without `%`, which the kernel
/// takes for a pattern that it fills in.
public struct InterfaceName: Equatable, Sendable, CustomStringConvertible {
  public let description: String

  public init?(_ text: String) {
    guard (1...15).contains(text.utf8.count), text != ".", text != "..",
      !text.utf8.contains(where: { byte in
        byte == UInt8(ascii: "/") || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "%")
          || byte <= 0x20 || byte == 0x7f
      })
    else { return nil }
    description = text
  }
}

/// A container ID: an alphanumeric, then alphanumerics, `_`, `.` and `-` (specification section 2);
/// at most 128 bytes, so that a link's alias holds it whole.
public struct ContainerID: Equatable, Sendable, CustomStringConvertible {
  public static let limit = 128
  public let description: String

  public init?(_ text: String) {
    guard isIdentifier(text, limit: ContainerID.limit) else { return nil }
    description = text
  }
}

/// The name of a network: an alphanumeric, then alphanumerics, `_`, `.` and `-` (specification
/// section 1); at most 96 bytes, so that a link's alias holds it whole. It is never a path.
public struct NetworkName: Equatable, Sendable, CustomStringConvertible {
  public static let limit = 96
  public let description: String

  public init?(_ text: String) {
    guard isIdentifier(text, limit: NetworkName.limit) else { return nil }
    description = text
  }
}

private func isIdentifier(_ text: String, limit: Int) -> Bool {
  guard let first = text.utf8.first, text.utf8.count <= limit, isAlphanumeric(first) else {
    return false
  }
  return text.utf8.allSatisfy { byte in
    isAlphanumeric(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
      || byte == UInt8(ascii: "-")
  }
}

private func isAlphanumeric(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
    UInt8(ascii: "A")...UInt8(ascii: "Z"):
    true
  default: false
  }
}

/// One interface of one container on one network: what ADD makes and DEL removes.
public struct Attachment: Equatable, Sendable {
  public let containerID: ContainerID
  public let interface: InterfaceName

  public init(containerID: ContainerID, interface: InterfaceName) {
    self.containerID = containerID
    self.interface = interface
  }
}
