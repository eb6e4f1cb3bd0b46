// SPDX-License-Identifier: Apache-2.0
import Addresses
import Embedded

/// A container ID: an alphanumeric, then alphanumerics, `_`, `.` and `-` (specification section 2).
/// At most 128 bytes, so that it fits into a link's alias.
public struct ContainerID: Equatable, Sendable, CustomStringConvertible {
  /// The most bytes of a container ID.
  public static let limit = 128
  public let description: String

  /// nil for a text that is not as `expected` says.
  public init?(_ text: String) {
    guard isIdentifier(text, limit: ContainerID.limit) else { return nil }
    description = text
  }

  /// What the text must be, for messages.
  public static var expected: String {
    "an alphanumeric, then alphanumerics, '_', '.' and '-', at most \(limit) bytes"
  }
}

/// The name of a network: an alphanumeric, then alphanumerics, `_`, `.` and `-` (specification
/// section 1). At most 96 bytes, so that it fits into a link's alias. It is never a path.
public struct NetworkName: Equatable, Sendable, CustomStringConvertible {
  /// The most bytes of a network's name.
  public static let limit = 96
  public let description: String

  /// nil for a text that is not as `expected` says.
  public init?(_ text: String) {
    guard isIdentifier(text, limit: NetworkName.limit) else { return nil }
    description = text
  }

  /// What the text must be, for messages.
  public static var expected: String {
    "an alphanumeric, then alphanumerics, '_', '.' and '-', at most \(limit) bytes"
  }
}

private func isIdentifier(_ text: String, limit: Int) -> Bool {
  guard let first = text.utf8.first, text.utf8.count <= limit, isAlphanumeric(first) else {
    return false
  }
  return Array(text.utf8).allSatisfy { byte in
    isAlphanumeric(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
      || byte == UInt8(ascii: "-")
  }
}

/// One interface of one container: what ADD makes and DEL removes on a network.
public struct Attachment: Equatable, Sendable {
  /// The container, as in CNI_CONTAINERID.
  public let containerID: ContainerID
  /// The name of the container's interface, as in CNI_IFNAME.
  public let interface: InterfaceName

  public init(containerID: ContainerID, interface: InterfaceName) {
    self.containerID = containerID
    self.interface = interface
  }
}

/// A pod of Kubernetes: its namespace and its name, each lower-case alphanumerics, `-` and `.`, at most
/// 253 bytes. Source: RFC 1123 section 2.1, as Kubernetes applies it.
public struct PodName: Equatable, Sendable, CustomStringConvertible {
  /// Kubernetes' namespace, as in K8S_POD_NAMESPACE of CNI_ARGS. It is not a network namespace.
  public let namespace: String
  /// The pod's name in it, as in K8S_POD_NAME.
  public let name: String

  /// nil if one of the names is empty, too long or has another character.
  public init?(namespace: String, name: String) {
    guard isSubdomain(namespace), isSubdomain(name) else { return nil }
    self.namespace = namespace
    self.name = name
  }

  /// `NAMESPACE/NAME`
  public var description: String { "\(namespace)/\(name)" }
}

private func isSubdomain(_ text: String) -> Bool {
  !text.isEmpty && text.utf8.count <= 253
    && Array(text.utf8).allSatisfy { byte in
      isAlphanumeric(byte) && !(UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
        || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }
}
