import CNetlink
import Embedded
import System

/// What the kernel refused: the attempt, its error number and, where it gave one, its own sentence.
///
/// Everything in this module that fails, fails with this: requests, but also namespaces, sysctls
/// and packet sockets.
public struct NetlinkError: Error, Equatable, CustomStringConvertible {
  /// What was attempted on what, as it follows "cannot": `create link veth12`.
  public let attempt: String
  /// The kernel's error number, positive.
  public let errno: Errno
  /// The extended acknowledgement (`NLMSGERR_ATTR_MSG`), or what else explains the number.
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

  /// Whether the object of the attempt is not there: what a deletion can be content with.
  public var isMissing: Bool {
    switch errno.rawValue {
    case ENOENT, ENOTDIR, ENODEV, ENXIO, ESRCH, EADDRNOTAVAIL: true
    default: false
    }
  }

  /// Whether the object of the attempt is there already.
  public var exists: Bool { errno == .fileExists }
}
