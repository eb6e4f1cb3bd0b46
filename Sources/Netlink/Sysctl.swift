// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded
import System

/// The kernel's settings under `/proc/sys`. Those under `net` belong to the calling thread's network
/// namespace. See sysctl(8).
public enum Sysctl {
  /// The value of a key such as `net/ipv4/ip_forward`, without the newline; nil if there is no such key, or
  /// it cannot be read. Slashes separate the parts of the key, so that an interface's name may have dots.
  ///
  /// Equivalent to: `sysctl -n net/ipv4/ip_forward`.
  public static func read(_ key: String) -> String? {
    guard let path = path(key), let bytes = FileDescriptor.shortContents(of: path) else {
      return nil
    }
    return String(decoding: bytes.prefix { $0 != 0x0a })
  }

  /// Sets a key.
  ///
  /// Equivalent to: `sysctl -w net/ipv4/ip_forward=1`.
  /// - Throws: an error with `isMissing` if there is no such key, `readOnlyFileSystem` if /proc/sys is,
  ///   `invalidArgument` for a value that the kernel refuses; also if the thread could not return from
  ///   another namespace: see `NetworkNamespace.run`.
  public static func write(_ key: String, _ value: String) throws(NetlinkError) {
    try NetworkNamespace.requireOwn()
    let attempt = "set sysctl \(key) to \(value)"
    guard let path = path(key) else {
      throw NetlinkError(
        attempt: attempt, errno: .invalidArgument, text: "it leads out of /proc/sys")
    }
    do throws(SystemError) {
      try FileDescriptor(path: path, flags: O_WRONLY).writeAll(path, Array(value.utf8))
    } catch {
      throw NetlinkError(attempt: attempt, errno: error.errno)
    }
  }

  /// nil for a key that could lead out of /proc/sys.
  private static func path(_ key: String) -> String? {
    key.fields(separatedBy: "/").contains("..") ? nil : "/proc/sys/\(key)"
  }
}
