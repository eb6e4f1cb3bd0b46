// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded
import System

/// What the kernel refused: the attempt, the error number and, if the kernel gave one, its own text.
///
/// Requests, namespaces and sysctls throw it. `NetworkNamespace.lock` throws `Errno`.
public struct NetlinkError: Error, Equatable, CustomStringConvertible {
  /// The fields, behind one reference: an error crosses many calls, and each of them passes on one word.
  private final class Fields: Sendable {
    let attempt: String
    let errno: Errno
    let text: String?

    init(attempt: String, errno: Errno, text: String?) {
      self.attempt = attempt
      self.errno = errno
      self.text = text
    }
  }

  private let fields: Fields

  /// What was attempted on what, as it follows "cannot": `create link veth12`.
  public var attempt: String { fields.attempt }
  /// The kernel's error number, positive.
  public var errno: Errno { fields.errno }
  /// The extended acknowledgement (`NLMSGERR_ATTR_MSG`), or another explanation; nil for none.
  public var text: String? { fields.text }

  @inline(never)
  public init(attempt: String, errno: Errno, text: String? = nil) {
    fields = Fields(attempt: attempt, errno: errno, text: text)
  }

  public static func == (a: NetlinkError, b: NetlinkError) -> Bool {
    a.attempt == b.attempt && a.errno == b.errno && a.text == b.text
  }

  /// The failure of the C function that has just returned.
  static func last(_ attempt: String) -> NetlinkError {
    NetlinkError(attempt: attempt, errno: .last)
  }

  /// `cannot create link veth12: Operation not supported (Unknown device type)`
  public var description: String {
    "cannot \(attempt): \(reason)"
  }

  /// The description without the attempt: `Operation not supported (Unknown device type)`.
  public var reason: String {
    let reason = errno.description
    return text.map { "\(reason) (\($0))" } ?? reason
  }

  /// Whether the object of the attempt does not exist: for a deletion this is success.
  public var isMissing: Bool {
    switch errno.rawValue {
    case ENOENT, ENOTDIR, ENODEV, ENXIO, ESRCH, EADDRNOTAVAIL: true
    default: false
    }
  }

  /// Whether the object of the attempt already exists.
  public var exists: Bool { errno == .fileExists }
}
