/// A released version of the CNI protocol.
public enum ProtocolVersion: Int, CaseIterable, Comparable, Sendable, CustomStringConvertible {
  case v0_1_0, v0_2_0, v0_3_0, v0_3_1, v0_4_0, v1_0_0, v1_1_0

  /// What is spoken where nothing says otherwise: the newest.
  public static let newest = v1_1_0

  public var description: String {
    switch self {
    case .v0_1_0: "0.1.0"
    case .v0_2_0: "0.2.0"
    case .v0_3_0: "0.3.0"
    case .v0_3_1: "0.3.1"
    case .v0_4_0: "0.4.0"
    case .v1_0_0: "1.0.0"
    case .v1_1_0: "1.1.0"
    }
  }

  public init?(_ text: String) {
    guard let version = ProtocolVersion.allCases.first(where: { $0.description == text }) else {
      return nil
    }
    self = version
  }

  public static func < (left: ProtocolVersion, right: ProtocolVersion) -> Bool {
    left.rawValue < right.rawValue
  }

  /// All of them as a person or a message wants them: `0.1.0, 0.2.0, …`.
  public static var list: String { allCases.map { $0.description }.joined(separator: ", ") }

  /// Whether results are one `ip4` and one `ip6` instead of lists.
  var hasPairResult: Bool { self < .v0_3_0 }

  /// Whether each of a result's `ips` says its `version`.
  var namesFamilies: Bool { !hasPairResult && self < .v1_0_0 }
}
