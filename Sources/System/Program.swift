// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded

/// Another program, run to its end.
public struct Program {
  /// A path, or a name that is looked up in PATH.
  public let path: String
  private let arguments: [String]

  /// - Parameter arguments: without the program's own name.
  public init(_ path: String, arguments: [String] = []) {
    self.path = path
    self.arguments = arguments
  }

  /// How a program ended.
  public struct Outcome {
    /// As in a shell: the exit status, or 128 plus the signal's number.
    public let status: Int32
    /// What it printed on stdout.
    public let output: [UInt8]
  }

  /// Runs the program with `input` on its stdin and this process's stderr. SIGPIPE, which this process
  /// ignores, ends the program as usual. The corresponding C function is `posix_spawnp`.
  /// - Parameter environment: the variables to add to this process's, or to replace.
  /// - Throws: if the program cannot be started; `fileTooLarge` if it prints more than 16 MiB: then it is
  ///   killed.
  public func run(
    input: [UInt8] = [], environment changes: [(name: String, value: String)] = []
  ) throws(SystemError) -> Outcome {
    let stdin = try memoryFile(holding: input)
    var pipe: [Int32] = [-1, -1]
    guard pipe2(&pipe, O_CLOEXEC) == 0 else { throw .last("make a pipe") }
    let output = FileDescriptor(pipe[0])
    let process = try spawn(
      stdin: stdin, stdout: FileDescriptor(pipe[1]), environment: environment(setting: changes))
    do throws(SystemError) {
      let printed = try output.readAll("the output of \(path)")
      return Outcome(status: exitStatus(of: process), output: printed)
    } catch {
      kill(process, SIGKILL)
      _ = exitStatus(of: process)
      throw error
    }
  }

  func spawn(
    stdin: borrowing FileDescriptor, stdout: consuming FileDescriptor, environment: [String]
  ) throws(SystemError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, stdin.rawValue, STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, stdout.rawValue, STDOUT_FILENO)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    // The child would inherit the signals that this process blocks.
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    var words = ([path] + arguments).map { strdup($0) } + [nil]
    var variables = environment.map { strdup($0) } + [nil]
    defer { for pointer in words + variables { free(pointer) } }
    var process: pid_t = 0
    let error = posix_spawnp(&process, path, &actions, &attributes, &words, &variables)
    guard error == 0 else { throw SystemError("run \(path)", Errno(error)) }
    return process
  }
}

/// Waits for a child process.
/// - Returns: its exit status, or 128 plus the signal's number; -1 if it is not a child of this process.
func exitStatus(of process: pid_t) -> Int32 {
  var status: Int32 = 0
  do throws(Errno) { try valueOrErrno { waitpid(process, &status, 0) } } catch { return -1 }
  let signal = status & 0x7f
  return signal == 0 ? status >> 8 & 0xff : 128 + signal
}

/// An anonymous file with these bytes, at offset 0. As a program's stdin it holds input of any size, without a
/// second thread or a poll loop. The corresponding C function is `memfd_create`.
private func memoryFile(holding bytes: [UInt8]) throws(SystemError) -> FileDescriptor {
  let raw = memfd_create("stdin", UInt32(MFD_CLOEXEC))
  guard raw >= 0 else { throw .last("make a memory file") }
  let file = FileDescriptor(raw)
  try file.writeAll("a memory file", bytes)
  lseek(raw, 0, SEEK_SET)
  return file
}

/// The path of a program in PATH or, since a process may run without PATH, in the usual folders of
/// distributions; nil if it is in none.
public func executablePath(of program: String) -> String? {
  let folders =
    (environmentVariable("PATH") ?? "").fields(separatedBy: ":")
    + ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"]
  for folder in folders where folder.utf8.first == UInt8(ascii: "/") {
    let path = "\(folder)/\(program)"
    if isExecutableFile(path) { return path }
  }
  return nil
}
