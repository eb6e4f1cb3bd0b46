// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded
import System

/// The lock of a network's store: flock(2) on the file `lock`, which host-local locks too, so that both
/// can work on one store. It is released when the value goes away, or the process ends.
struct StoreLock: ~Copyable {
  static let fileName = "lock"
  private let file: FileDescriptor

  /// Waits for the lock.
  /// - Throws: `wouldBlock` if another process holds it for `seconds`.
  init(in directory: borrowing Directory, seconds: Int) throws(SystemError) {
    // Without O_NONBLOCK opening a FIFO of that name would wait for a writer. flock(2) locks it as any file.
    let raw = humanz_openat(
      directory.rawValue, StoreLock.fileName, O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
    guard raw >= 0 else { throw .last("open \(directory.path(of: StoreLock.fileName))") }
    let file = FileDescriptor(raw)
    do throws(Errno) { try file.lock(seconds: seconds) } catch {
      throw SystemError(
        "lock \(directory.path(of: StoreLock.fileName)) within \(seconds) seconds", error)
    }
    self.file = file
  }
}
