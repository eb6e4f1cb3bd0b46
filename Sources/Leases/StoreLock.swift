import CNetlink
import Embedded
import System

/// The lock of a network's store: flock(2) on the file `lock`, as host-local takes it, so that both
/// can work on one store. It is released when it goes, also with the process.
struct StoreLock: ~Copyable {
  static let fileName = "lock"
  private let file: FileDescriptor

  /// Waits for the lock.
  /// - Throws: `wouldBlock` where another process has held it all the time.
  init(in directory: borrowing Directory, seconds: Int) throws(SystemError) {
    let raw = humanz_openat(
      directory.rawValue, StoreLock.fileName, O_RDONLY | O_CREAT | O_NOFOLLOW, 0o600)
    guard raw >= 0 else { throw .last("open \(directory.path(of: StoreLock.fileName))") }
    let file = FileDescriptor(raw)
    do throws(Errno) { try file.lock(seconds: seconds) } catch {
      throw SystemError(
        "lock \(directory.path(of: StoreLock.fileName)) within \(seconds) seconds", error)
    }
    self.file = file
  }
}
