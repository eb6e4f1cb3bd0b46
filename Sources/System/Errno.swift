// SPDX-License-Identifier: Apache-2.0
import CNetlink

/// An error number of the system. See errno(3).
public struct Errno: Error, Equatable, Sendable {
  public let rawValue: Int32

  public init(_ rawValue: Int32) { self.rawValue = rawValue }

  /// The error number of the last C function that failed: `errno`.
  public static var last: Errno { Errno(humanz_errno()) }

  /// EPERM
  public static var notPermitted: Errno { Errno(EPERM) }
  /// ENOENT
  public static var noSuchFileOrDirectory: Errno { Errno(ENOENT) }
  /// EINTR
  public static var interrupted: Errno { Errno(EINTR) }
  /// EIO
  public static var ioError: Errno { Errno(EIO) }
  /// EAGAIN, which Linux also calls EWOULDBLOCK
  public static var wouldBlock: Errno { Errno(EAGAIN) }
  /// EBUSY
  public static var busy: Errno { Errno(EBUSY) }
  /// EEXIST
  public static var fileExists: Errno { Errno(EEXIST) }
  /// ENODEV
  public static var noDevice: Errno { Errno(ENODEV) }
  /// EINVAL
  public static var invalidArgument: Errno { Errno(EINVAL) }
  /// ENOTDIR
  public static var notDirectory: Errno { Errno(ENOTDIR) }
  /// EISDIR
  public static var isDirectory: Errno { Errno(EISDIR) }
  /// ENOSPC
  public static var noSpace: Errno { Errno(ENOSPC) }
  /// EROFS
  public static var readOnlyFileSystem: Errno { Errno(EROFS) }
  /// ELOOP
  public static var tooManySymbolicLinkLevels: Errno { Errno(ELOOP) }
  /// ENOSYS
  public static var notImplemented: Errno { Errno(ENOSYS) }
  /// ENAMETOOLONG
  public static var fileNameTooLong: Errno { Errno(ENAMETOOLONG) }
  /// ENOTEMPTY
  public static var directoryNotEmpty: Errno { Errno(ENOTEMPTY) }
  /// ENXIO
  public static var noSuchAddressOrDevice: Errno { Errno(ENXIO) }
  /// ENOBUFS
  public static var noBufferSpace: Errno { Errno(ENOBUFS) }
  /// EOPNOTSUPP
  public static var notSupported: Errno { Errno(EOPNOTSUPP) }
  /// EFBIG
  public static var fileTooLarge: Errno { Errno(EFBIG) }
}

extension Errno: CustomStringConvertible {
  /// The C library's message. The corresponding C function is `strerror`.
  public var description: String { String(cString: strerror(rawValue)) }
}

/// Calls a C function that returns a negative number on error. Calls it again if a signal interrupts it.
/// - Returns: what the function returned, zero or more.
@discardableResult
public func valueOrErrno<Result: SignedInteger>(
  _ function: () -> Result
) throws(Errno) -> Result {
  while true {
    let result = function()
    if result >= 0 { return result }
    let errno = Errno.last
    if errno != .interrupted { throw errno }
  }
}
