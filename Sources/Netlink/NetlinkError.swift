import CNetlink
import Embedded
import System

/// What the kernel refused: the attempt, the error number and, if the kernel gave one, its own text.
///
/// Everything in this module throws it: requests, namespaces and sysctls.
public struct NetlinkError: Error, Equatable, CustomStringConvertible {
  /// What was attempted on what, as it follows "cannot": `create link veth12`.
  public let attempt: String
  /// The kernel's error number, positive.
  public let errno: Errno
  /// The extended acknowledgement (`NLMSGERR_ATTR_MSG`), or another explanation.
  public let text: String?

  public init(attempt: String, errno: Errno, text: String? = nil) {
    self.attempt = attempt
    self.errno = errno
    self.text = text
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
