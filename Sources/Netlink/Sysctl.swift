import CNI
import CNetlink

/// The kernel's settings under `/proc/sys`. Those under `net` are the calling thread's network
/// namespace's. See sysctl(8).
public enum Sysctl {
  /// The value of a key such as `net/ipv4/ip_forward`, without the line's end; nil where there is no
  /// such key. Its parts are separated by slashes, so that an interface's name may have dots.
  ///
  /// Equivalent to: `sysctl -n net/ipv4/ip_forward`.
  public static func read(_ key: String) -> String? {
    guard let path = path(key) else { return nil }
    let descriptor = humanz_open(path, O_RDONLY, 0)
    guard descriptor >= 0 else { return nil }
    let file = FileDescriptor(descriptor)
    var bytes = [UInt8](repeating: 0, count: 1024)
    let count = CNetlink.read(file.rawValue, &bytes, bytes.count)
    guard count >= 0 else { return nil }
    return String(decoding: bytes[..<count].prefix { $0 != 0x0a }, as: UTF8.self)
  }

  /// Sets a key.
  ///
  /// Equivalent to: `sysctl -w net/ipv4/ip_forward=1`.
  public static func write(_ key: String, _ value: String) throws(NetlinkError) {
    let attempt = "set sysctl \(key) to \(value)"
    guard let path = path(key) else {
      throw NetlinkError(attempt: attempt, errno: EINVAL, text: "it leads out of /proc/sys")
    }
    let descriptor = humanz_open(path, O_WRONLY, 0)
    guard descriptor >= 0 else { throw .last(attempt) }
    let file = FileDescriptor(descriptor)
    guard CNetlink.write(file.rawValue, value, value.utf8.count) == value.utf8.count else {
      throw .last(attempt)
    }
  }

  /// nil for a key that could lead elsewhere.
  private static func path(_ key: String) -> String? {
    strstr("/\(key)/", "/../") == nil ? "/proc/sys/\(key)" : nil
  }
}
