import CNI
import CNetlink

/// The kernel's settings below /proc/sys, those of the calling thread's network namespace.
public enum Sysctl {
  /// A setting's value without the line's end; nil where there is no such setting.
  /// Equivalent to: `sysctl -n KEY`.
  public static func read(_ key: String) -> String? {
    guard let path = path(key), let file = try? FileDescriptor(path: path, flags: O_RDONLY),
      let bytes = try? file.readAll(limit: 65536)
    else { return nil }
    return String(decoding: bytes.prefix { $0 != 0x0a }, as: UTF8.self)
  }

  /// Sets a value. Equivalent to: `sysctl -w KEY=VALUE`.
  public static func write(_ key: String, _ value: String) throws(NetlinkError) {
    let attempt = "set the sysctl \(key) to \(value)"
    guard let path = path(key) else { throw NetlinkError(attempt: attempt, errno: EINVAL) }
    let descriptor = humanz_open(path, O_WRONLY, 0)
    guard descriptor >= 0 else { throw NetlinkError(attempt) }
    let file = FileDescriptor(descriptor)
    guard CNetlink.write(file.rawValue, value, value.utf8.count) == value.utf8.count else {
      throw NetlinkError(attempt)
    }
  }

  /// A key has its parts between `/`, as an interface's name may have dots; none may lead elsewhere.
  private static func path(_ key: String) -> String? {
    for part in key.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    where part.isEmpty || part.elementsEqual(".".utf8) || part.elementsEqual("..".utf8) {
      return nil
    }
    return "/proc/sys/\(key)"
  }
}
