// SPDX-License-Identifier: Apache-2.0
import Embedded

/// A failed system call: what was attempted on what, and the system's reason.
public struct SystemError: Error, Equatable {
  /// The fields, behind one reference: an error crosses many calls, and each of them passes on one word.
  private final class Fields: Sendable {
    let attempt: String
    let errno: Errno

    init(attempt: String, errno: Errno) {
      self.attempt = attempt
      self.errno = errno
    }
  }

  private let fields: Fields

  /// What was attempted, as it follows "cannot": `open /run/humanz/node.lock`.
  public var attempt: String { fields.attempt }
  /// The system's reason.
  public var errno: Errno { fields.errno }

  @inline(never)
  public init(_ attempt: String, _ errno: Errno) {
    fields = Fields(attempt: attempt, errno: errno)
  }

  public static func == (a: SystemError, b: SystemError) -> Bool {
    a.attempt == b.attempt && a.errno == b.errno
  }

  /// The failure of the C function that has just returned.
  public static func last(_ attempt: String) -> SystemError { SystemError(attempt, .last) }
}

extension SystemError: CustomStringConvertible {
  /// `cannot open /run/humanz/node.lock: Permission denied`
  public var description: String { "cannot \(attempt): \(errno)" }
}
