// SPDX-License-Identifier: Apache-2.0
import Embedded

/// The kernel's number for a link in one network namespace, from 1. See rtnetlink(7), `ifi_index`.
public struct LinkIndex: Equatable, Sendable {
  public let rawValue: Int32

  public init(_ rawValue: Int32) { self.rawValue = rawValue }
}

extension LinkIndex: CustomStringConvertible {
  public var description: String { "\(rawValue)" }
}

extension Request {
  /// Adds a link's index as an attribute.
  public mutating func put(_ type: some KernelConstant, _ index: LinkIndex) {
    put(type, index.rawValue)
  }
}

extension Attribute {
  /// A link's index.
  var linkIndex: LinkIndex? { int32.map { LinkIndex($0) } }
}
