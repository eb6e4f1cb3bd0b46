// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded

/// A program that runs beside this process. It is killed if this object is released before it has ended.
public final class RunningProgram {
  /// What it prints on stdout.
  public let output: FileDescriptor
  private let path: String
  private var process: pid_t

  init(path: String, process: pid_t, output: consuming FileDescriptor) {
    self.path = path
    self.process = process
    self.output = output
  }

  deinit { stop() }

  /// Waits for output and returns what has arrived; nil at the end of the output.
  public func readAvailableOutput() throws(SystemError) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    do throws(Errno) {
      let count = try valueOrErrno { read(output.rawValue, &bytes, bytes.count) }
      bytes.removeLast(bytes.count - count)
      return count == 0 ? nil : bytes
    } catch {
      throw SystemError("read the output of \(path)", error)
    }
  }

  /// Waits until the program has ended.
  /// - Returns: its status, as in `Program.Outcome`; -1 from the second call on.
  public func waitForEnd() -> Int32 {
    guard process > 0 else { return -1 }
    let status = exitStatus(of: process)
    process = -1
    return status
  }

  private func stop() {
    guard process > 0 else { return }
    kill(process, SIGKILL)
    _ = waitForEnd()
  }
}

extension Program {
  /// Starts the program with an empty stdin and this process's stderr.
  /// - Throws: if it cannot be started.
  public func start() throws(SystemError) -> RunningProgram {
    let stdin = try FileDescriptor(path: "/dev/null", flags: O_RDONLY)
    var pipe: [Int32] = [-1, -1]
    guard pipe2(&pipe, O_CLOEXEC) == 0 else { throw .last("make a pipe") }
    let output = FileDescriptor(pipe[0])
    let process = try spawn(
      stdin: stdin, stdout: FileDescriptor(pipe[1]), environment: environment(setting: []))
    return RunningProgram(path: path, process: process, output: output)
  }

  /// What the program prints on stdout, with an empty stdin; nil if it cannot be started, has not closed its
  /// stdout within `seconds`, or prints 16 MiB or more. If it still runs at the end, it is killed.
  public func output(withinSeconds seconds: Int) -> [UInt8]? {
    guard let program = try? start() else { return nil }
    let deadline = Clock.microseconds() + seconds * 1_000_000
    var output: [UInt8] = []
    while output.count < FileDescriptor.sizeLimit {
      let rest = max(0, (deadline - Clock.microseconds()) / 1000)
      guard readable(among: [program.output.rawValue], milliseconds: Int32(rest))[0] else {
        // A signal ends the wait too.
        if rest > 0 { continue }
        return nil
      }
      do throws(SystemError) {
        guard let bytes = try program.readAvailableOutput() else { return output }
        output += bytes
      } catch {
        return nil
      }
    }
    return nil
  }
}
