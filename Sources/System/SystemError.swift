import Embedded

/// A call of the system that failed: what was attempted on what, and the system's reason.
public struct SystemError: Error, Equatable {
  /// What was attempted, as it follows "cannot": `open /run/humanz/node.lock`.
  public let attempt: String
  public let errno: Errno

  public init(_ attempt: String, _ errno: Errno) {
    self.attempt = attempt
    self.errno = errno
  }

  /// The failure of the C function that has just returned.
  public static func last(_ attempt: String) -> SystemError { SystemError(attempt, .last) }
}

extension SystemError: CustomStringConvertible {
  /// `cannot open /run/humanz/node.lock: Permission denied`
  public var description: String { "cannot \(attempt): \(errno)" }
}
