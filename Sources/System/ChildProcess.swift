// SPDX-License-Identifier: Apache-2.0
import CNetlink

/// A copy of this process that runs one function and then ends.
///
/// For a slow system call that this process does not wait for. The copy may outlive this process; then
/// process 1, or the nearest subreaper, takes its exit status.
public struct ChildProcess: ~Copyable {
  private let process: pid_t

  /// Starts the copy. It closes everything but `descriptor` and its working directory is `/`: a caller that
  /// reads stdout and stderr to their end does not wait for it, and it keeps no file system mounted. The
  /// corresponding C function is `fork`.
  ///
  /// - Precondition: the process has one thread.
  /// - Parameter descriptor: stays open in the copy.
  /// - Parameter body: runs in the copy, which ends after it. It does not run if the copy cannot close the
  ///   descriptors that it inherits.
  /// - Throws: if there is no memory for another process, or a limit on processes is reached. See fork(2).
  public init(keeping descriptor: Int32, _ body: () -> Void) throws(SystemError) {
    let process = humanz_fork()
    guard process >= 0 else { throw .last("start a process") }
    if process == 0 {
      Trap.markAsChild()
      if closeAll(but: UInt32(descriptor)), chdir("/") == 0 { body() }
      _exit(0)
    }
    self.process = process
  }

  /// Waits until the copy has ended. The corresponding C function is `waitpid`.
  public borrowing func waitForEnd() {
    var status: Int32 = 0
    _ = try? valueOrErrno { waitpid(process, &status, 0) }
  }
}

private func closeAll(but descriptor: UInt32) -> Bool {
  if descriptor > 0, humanz_close_range(0, descriptor - 1) != 0 { return false }
  return humanz_close_range(descriptor + 1, .max) == 0
}
