import CNetlink

/// A file, pipe or directory that is open, and closes itself.
public struct FileDescriptor: ~Copyable {
  public let rawValue: Int32

  /// Takes over an open descriptor.
  public init(_ rawValue: Int32) { self.rawValue = rawValue }

  /// Opens a path; O_CLOEXEC is always set. The corresponding C function is `open`.
  public init(path: String, flags: Int32, mode: mode_t = 0o600) throws(CNIError) {
    rawValue = path.withCString { humanz_open($0, flags, mode) }
    if rawValue < 0 { throw CNIError(.io, "cannot open \(path): \(SystemError.last)") }
  }

  deinit { close(rawValue) }

  /// Whether it is a regular file that has one name. The corresponding C function is `fstat`.
  var isPlainFile: Bool {
    var status = stat()
    return fstat(rawValue, &status) == 0 && status.st_nlink == 1
      && status.st_mode & mode_t(S_IFMT) == mode_t(S_IFREG)
  }

  /// Everything up to the end of the file, `limit` bytes at most. The corresponding C function is
  /// `read`.
  /// - Throws: error 5, also where there is more than `limit`.
  public borrowing func readAll(limit: Int = 16 << 20) throws(CNIError) -> [UInt8] {
    try CNI.readAll(rawValue, limit: limit)
  }

  /// Writes all the bytes. The corresponding C function is `write`.
  /// - Throws: error 5, also where the disk is full; some of the bytes may have been written.
  public borrowing func writeAll(_ bytes: [UInt8]) throws(CNIError) {
    try CNI.writeAll(rawValue, bytes)
  }
}

/// The three streams every process starts with; they stay open.
public enum StandardStream {
  /// Makes sure that there are three: one that is closed would give its number to the next file that
  /// is opened, and a result be printed into that. Reading such a one finds its end, writing fails;
  /// so does writing to a pipe that nobody reads, without ending the process.
  static func prepare() {
    humanz_signal_ignore(SIGPIPE)
    while case let descriptor = humanz_open("/dev/null", O_RDONLY, 0), descriptor >= 0 {
      if descriptor > STDERR_FILENO {
        close(descriptor)
        return
      }
    }
  }

  /// Everything on stdin.
  public static func readInput() throws(CNIError) -> [UInt8] {
    do throws(CNIError) { return try readAll(STDIN_FILENO, limit: 16 << 20) } catch {
      throw CNIError(.io, "stdin: \(error.message)")
    }
  }

  /// Prints a line on stdout.
  public static func print(_ line: [UInt8]) throws(CNIError) {
    do throws(CNIError) { try writeAll(STDOUT_FILENO, line + [0x0a]) } catch {
      throw CNIError(.io, "stdout: \(error.message)")
    }
  }

  /// Prints a line on stderr; where that fails there is nobody to tell.
  public static func printDiagnostic(_ line: String) {
    try? writeAll(STDERR_FILENO, Array(line.utf8) + [0x0a])
  }
}

private func readAll(_ descriptor: Int32, limit: Int) throws(CNIError) -> [UInt8] {
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 16384)
  while true {
    let count = read(descriptor, &chunk, chunk.count)
    if count == 0 { return bytes }
    if count < 0 {
      if humanz_errno() == EINTR { continue }
      throw CNIError(.io, "cannot read: \(SystemError.last)")
    }
    bytes += chunk[..<count]
    guard bytes.count <= limit else { throw CNIError(.io, "more than \(limit) bytes to read") }
  }
}

private func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) throws(CNIError) {
  var written = 0
  while written < bytes.count {
    let count = bytes.withUnsafeBytes {
      write(descriptor, $0.baseAddress! + written, bytes.count - written)
    }
    if count >= 0 {
      written += count
    } else if humanz_errno() != EINTR {
      throw CNIError(.io, "cannot write: \(SystemError.last)")
    }
  }
}

/// The system's own words for what a call failed with.
public struct SystemError: CustomStringConvertible {
  public let errno: Int32

  public init(_ errno: Int32) { self.errno = errno }

  /// What the last failed call left in `errno`.
  public static var last: SystemError { SystemError(humanz_errno()) }

  /// The corresponding C function is `strerror`.
  public var description: String { String(cString: strerror(errno)) }
}

/// The program's own arguments, without its name. Embedded Swift has no `CommandLine`.
public func commandLineArguments() throws(CNIError) -> [String] {
  try FileDescriptor(path: "/proc/self/cmdline", flags: O_RDONLY).readAll()
    .split(separator: 0, omittingEmptySubsequences: false).dropFirst().dropLast()
    .map { String(decoding: $0, as: UTF8.self) }
}

/// An environment variable; nil where it is unset. The corresponding C function is `getenv`.
public func environmentVariable(_ name: String) -> String? {
  getenv(name).map { String(cString: $0) }
}
