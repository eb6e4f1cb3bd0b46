import CNI
import CNetlink

/// What the kernel refused, in the kernel's own words.
public struct NetlinkError: Error, Equatable, CustomStringConvertible {
  /// What was attempted, on what: "create link veth12".
  public let attempt: String
  /// An `errno` value, always positive.
  public let errno: Int32
  /// The text of the extended acknowledgement, where the kernel gave one.
  public let text: String?

  public init(attempt: String, errno: Int32, text: String? = nil) {
    self.attempt = attempt
    self.errno = errno
    self.text = text
  }

  /// The last system call's failure.
  init(_ attempt: String) { self.init(attempt: attempt, errno: humanz_errno()) }

  public var description: String {
    "cannot \(attempt): \(SystemError(errno))" + (text.map { " (\($0))" } ?? "")
  }
}
