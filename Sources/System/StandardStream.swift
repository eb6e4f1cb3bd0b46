// SPDX-License-Identifier: Apache-2.0
import CNetlink

/// The three streams that every process starts with; they stay open.
public enum StandardStream {
  /// Makes sure that all three are open. A closed one would give its number to the next file that is
  /// opened, and a result would be printed into that file. A stream that was closed reads as empty and
  /// cannot be written. A write to a pipe without a reader is an error and does not end the process. The
  /// exit status of a child can be read.
  public static func prepare() {
    humanz_signal_ignore(SIGPIPE)
    // If the caller ignored SIGCHLD, the kernel would discard the exit status of a delegate.
    humanz_signal_default(SIGCHLD)
    if areOpen() { return }
    var opensStderr = false
    while case let descriptor = humanz_open("/dev/null", O_RDONLY, 0), descriptor >= 0 {
      if descriptor == STDERR_FILENO { opensStderr = true }
      if descriptor > STDERR_FILENO {
        // A delegate inherits stderr: unlike the opened descriptor, the copy has no close-on-exec.
        if opensStderr { dup2(descriptor, STDERR_FILENO) }
        close(descriptor)
        return
      }
    }
  }

  /// The corresponding C function is `poll`.
  private static func areOpen() -> Bool {
    var streams = (STDIN_FILENO...STDERR_FILENO).map { pollfd(fd: $0, events: 0, revents: 0) }
    guard poll(&streams, nfds_t(streams.count), 0) >= 0 else { return false }
    return streams.allSatisfy { $0.revents & Int16(POLLNVAL) == 0 }
  }

  /// Everything on stdin.
  /// - Throws: `fileTooLarge` for more than 16 MiB.
  public static func readInput() throws(SystemError) -> [UInt8] {
    do throws(Errno) {
      return try readAll(STDIN_FILENO, limit: FileDescriptor.sizeLimit)
    } catch {
      throw readError(error, "stdin", limit: FileDescriptor.sizeLimit)
    }
  }

  /// Waits for input and returns what has arrived on stdin; nil at the end of the stream.
  public static func readAvailableInput() throws(SystemError) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      do throws(Errno) {
        let count = try valueOrErrno { read(STDIN_FILENO, &bytes, bytes.count) }
        bytes.removeLast(bytes.count - count)
        return count == 0 ? nil : bytes
      } catch {
        guard error == .wouldBlock else { throw SystemError("read stdin", error) }
        _ = readable(among: [STDIN_FILENO], milliseconds: -1)
      }
    }
  }

  /// Prints a line on stdout, with a line feed after it.
  public static func print(_ line: [UInt8]) throws(SystemError) {
    do throws(Errno) {
      try writeAll(STDOUT_FILENO, line + [0x0a])
    } catch {
      throw SystemError("write stdout", error)
    }
  }

  /// Prints a line on stderr, with a line feed after it. A failure is ignored: there is nowhere to report it.
  public static func printDiagnostic(_ line: String) {
    try? writeAll(STDERR_FILENO, Array(line.utf8) + [0x0a])
  }
}
