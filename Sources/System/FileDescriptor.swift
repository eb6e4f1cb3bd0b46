// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded

/// An open file, pipe or directory. It closes itself.
public struct FileDescriptor: ~Copyable {
  /// The number of the descriptor. It is closed with this value.
  public let rawValue: Int32

  /// The most bytes that are read from one file: 16 MiB.
  public static let sizeLimit = 16 << 20

  /// Takes over an open descriptor.
  public init(_ rawValue: Int32) { self.rawValue = rawValue }

  /// Opens a path; O_CLOEXEC is always set. The corresponding C function is `open`.
  /// - Parameters:
  ///   - flags: O_RDONLY, O_CREAT and the like.
  ///   - mode: the permissions of a file that O_CREAT makes, less the umask; otherwise unused.
  public init(path: String, flags: Int32, mode: mode_t = 0o600) throws(SystemError) {
    rawValue = path.withCString { humanz_open($0, flags, mode) }
    if rawValue < 0 { throw .last("open \(path)") }
  }

  deinit { close(rawValue) }

  /// Whether it is a regular file with one name. The corresponding C function is `fstat`.
  public var isPlainFile: Bool {
    var status = stat()
    return fstat(rawValue, &status) == 0 && status.st_nlink == 1
      && status.st_mode & mode_t(S_IFMT) == mode_t(S_IFREG)
  }

  /// The content of a file. The corresponding C functions are `open` and `read`.
  /// - Parameters:
  ///   - flags: in addition to O_RDONLY and O_CLOEXEC.
  ///   - limit: in bytes.
  ///   - isShort: whether one read returns all of it, as for a value in /proc/sys.
  /// - Throws: `fileTooLarge` for a file of more than `limit` bytes.
  public static func contents(
    of path: String, flags: Int32 = 0, limit: Int = sizeLimit, isShort: Bool = false
  ) throws(SystemError) -> [UInt8] {
    let file = try FileDescriptor(path: path, flags: O_RDONLY | flags)
    do throws(Errno) {
      return try System.readAll(file.rawValue, limit: limit, endsAtShortRead: isShort)
    } catch {
      throw readError(error, path, limit: limit)
    }
  }

  /// The content of a short file of procfs; nil if it is missing or cannot be read. Unless it is missing, a
  /// failure is tried again once: the kernel may be out of memory for a moment.
  public static func shortContents(of path: String) -> [UInt8]? {
    do throws(SystemError) { return try contents(of: path, isShort: true) } catch {
      return error.errno == .noSuchFileOrDirectory ? nil : try? contents(of: path, isShort: true)
    }
  }

  /// Everything up to the end of the file or stream. The corresponding C function is `read`.
  /// - Parameters:
  ///   - path: for the error.
  ///   - limit: in bytes.
  /// - Throws: `fileTooLarge` for more than `limit` bytes.
  public borrowing func readAll(
    _ path: String, limit: Int = sizeLimit
  ) throws(SystemError) -> [UInt8] {
    do throws(Errno) {
      return try System.readAll(rawValue, limit: limit)
    } catch {
      throw readError(error, path, limit: limit)
    }
  }

  /// Writes all the bytes. The corresponding C function is `write`.
  /// - Parameter path: for the error.
  /// - Throws: also if the disk is full; some of the bytes may have been written.
  public borrowing func writeAll(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
    do throws(Errno) {
      try System.writeAll(rawValue, bytes)
    } catch {
      throw SystemError("write \(path)", error)
    }
  }
}

/// Reads up to the end of a file or stream.
///
/// A read that does not fill the buffer is the last of a regular file. A stream ends only with an empty read.
/// - Parameter endsAtShortRead: whether it is a regular file.
func readAll(
  _ descriptor: Int32, limit: Int, endsAtShortRead: Bool = false
) throws(Errno) -> [UInt8] {
  var bytes: [UInt8] = []
  // Not an array: filling it with zeros would cost a page fault for each page.
  let chunk = UnsafeMutableRawBufferPointer.allocate(
    byteCount: endsAtShortRead ? 4096 : 16384, alignment: 16)
  defer { chunk.deallocate() }
  while true {
    let count = try valueOrErrno { read(descriptor, chunk.baseAddress, chunk.count) }
    bytes += chunk[..<count]
    if bytes.count > limit { throw .fileTooLarge }
    if count == 0 || endsAtShortRead && count < chunk.count { return bytes }
  }
}

/// The error of a failed `readAll`, which names the limit of a file that is too large.
func readError(_ errno: Errno, _ path: String, limit: Int) -> SystemError {
  SystemError(
    errno == .fileTooLarge ? "read more than \(limit) bytes of \(path)" : "read \(path)", errno)
}

func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) throws(Errno) {
  var written = 0
  while written < bytes.count {
    written += try valueOrErrno {
      bytes.withUnsafeBytes {
        write(descriptor, $0.baseAddress! + written, bytes.count - written)
      }
    }
  }
}

/// Whether a path leads to a regular file that this process may execute. The corresponding C functions
/// are `stat` and `access`.
public func isExecutableFile(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0 && status.st_mode & mode_t(S_IFMT) == mode_t(S_IFREG)
    && access(path, X_OK) == 0
}
