import CNetlink

/// A plugin that is run by its bare name from CNI_PATH (specification section 4, and section 2 for
/// how a runtime runs one).
public struct Delegate {
  public let name: String
  private let executable: String

  /// Finds an executable file on a search path.
  /// - Parameter searchPath: folders with `:` between, as CNI_PATH.
  /// - Throws: error 7 for a name that is a path, 103 where no folder has it.
  public init(
    _ name: String, searchPath: String = environmentVariable("CNI_PATH") ?? ""
  ) throws(CNIError) {
    guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")) else {
      throw CNIError(
        .invalidConfiguration, "the plugin type \"\(name)\" is not a bare name of an executable")
    }
    for folder in searchPath.fields(separatedBy: ":") {
      let path = "\(folder)/\(name)"
      var status = stat()
      if stat(path, &status) == 0, status.st_mode & mode_t(S_IFMT) == mode_t(S_IFREG),
        access(path, X_OK) == 0
      {
        self.name = name
        executable = path
        return
      }
    }
    throw CNIError(
      .delegate, "the plugin \"\(name)\" is in no folder of CNI_PATH",
      details: "CNI_PATH is \"\(searchPath)\"")
  }

  /// Runs the plugin with this process's environment but for some variables, and waits for it. Its
  /// stderr is this process's.
  /// - Returns: what it printed on stdout.
  /// - Throws: the plugin's own error; 103 where it could not be run, was killed or printed no error.
  public func run(
    input: [UInt8], environment changes: [(name: String, value: String)] = []
  ) throws(CNIError) -> [UInt8] {
    let stdin = try memoryFile(holding: input)
    var pipe: [Int32] = [-1, -1]
    guard pipe2(&pipe, O_CLOEXEC) == 0 else {
      throw CNIError(.io, "cannot make a pipe: \(SystemError.last)")
    }
    let output = FileDescriptor(pipe[0])
    let process = try spawn(
      stdin: stdin, stdout: FileDescriptor(pipe[1]), environment: environment(changing: changes))
    let printed: [UInt8]
    do { printed = try output.readAll() } catch {
      kill(process, SIGKILL)
      _ = exitStatus(of: process)
      throw error
    }
    let status = exitStatus(of: process)
    guard status != 0 else { return printed }
    if let json = try? JSON(parsing: printed), let error = CNIError(json) { throw error }
    throw CNIError(
      .delegate, "the plugin \"\(name)\" ended with status \(status) and printed no CNI error",
      details: String(decoding: printed.prefix(1024), as: UTF8.self))
  }

  private func spawn(
    stdin: borrowing FileDescriptor, stdout: consuming FileDescriptor, environment: [String]
  ) throws(CNIError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, stdin.rawValue, STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, stdout.rawValue, STDOUT_FILENO)
    // What this process ignores is no business of the delegate's.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
    var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(executable), nil]
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
    defer { for pointer in arguments + variables { free(pointer) } }
    var process: pid_t = 0
    let error = posix_spawn(
      &process, executable, &actions, &attributes, &arguments, &variables)
    guard error == 0 else {
      throw CNIError(.delegate, "cannot run \(executable): \(SystemError(error))")
    }
    return process
  }

  /// The status as a shell gives it: the exit status, or 128 and the signal.
  private func exitStatus(of process: pid_t) -> Int32 {
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 {
      if humanz_errno() != EINTR { return -1 }
    }
    let signal = status & 0x7f
    return signal == 0 ? status >> 8 & 0xff : 128 + signal
  }
}

/// An anonymous file at its start: a plugin's stdin, whatever its size, without a second thread or
/// a poll loop. The corresponding C function is `memfd_create`.
private func memoryFile(holding bytes: [UInt8]) throws(CNIError) -> FileDescriptor {
  let raw = memfd_create("stdin", UInt32(MFD_CLOEXEC))
  guard raw >= 0 else { throw CNIError(.io, "cannot make a memory file: \(SystemError.last)") }
  let file = FileDescriptor(raw)
  try file.writeAll(bytes)
  lseek(raw, 0, SEEK_SET)
  return file
}

/// This process's environment as `NAME=VALUE`, with some variables set anew.
private func environment(changing changes: [(name: String, value: String)]) -> [String] {
  var variables: [String] = []
  var next = humanz_environ()
  while let pointer = next?.pointee {
    let variable = String(cString: pointer)
    if !changes.contains(where: { variable.utf8.starts(with: "\($0.name)=".utf8) }) {
      variables.append(variable)
    }
    next = next?.successor()
  }
  return variables + changes.map { "\($0.name)=\($0.value)" }
}
