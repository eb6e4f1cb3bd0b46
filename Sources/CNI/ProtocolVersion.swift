// SPDX-License-Identifier: Apache-2.0
import Embedded

/// A released version of the CNI protocol.
public enum ProtocolVersion: Int, CaseIterable, Comparable, Sendable, CustomStringConvertible {
  case v010, v020, v030, v031, v040, v100, v110

  /// The newest version; errors and the answer to VERSION have it if the input names none.
  public static let newest = v110

  public var description: String {
    switch self {
    case .v010: "0.1.0"
    case .v020: "0.2.0"
    case .v030: "0.3.0"
    case .v031: "0.3.1"
    case .v040: "0.4.0"
    case .v100: "1.0.0"
    case .v110: "1.1.0"
    }
  }

  /// Reads a version such as `1.1.0`; nil if the suite does not support it.
  public init?(_ text: String) {
    guard let version = ProtocolVersion.allCases.first(where: { $0.description == text }) else {
      return nil
    }
    self = version
  }

  public static func < (left: ProtocolVersion, right: ProtocolVersion) -> Bool {
    left.rawValue < right.rawValue
  }

  /// All versions, for messages: `0.1.0, 0.2.0, …`.
  public static var list: String { allCases.map { $0.description }.joined(separator: ", ") }

  /// Whether results are one `ip4` and one `ip6` instead of lists.
  public var hasPairResult: Bool { self < .v030 }

  /// Whether each of a result's `ips` says its `version`.
  var namesFamilies: Bool { !hasPairResult && self < .v100 }
}
