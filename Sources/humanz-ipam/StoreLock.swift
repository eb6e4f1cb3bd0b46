import CNI
import CNetlink

/// The lock of a network's store: flock(2) on the file `lock`, as host-local takes it, so that both
/// can work on one store. It is released when it goes, also with the process.
struct StoreLock: ~Copyable {
  static let fileName = "lock"
  private let file: FileDescriptor

  /// Waits for the lock.
  /// - Throws: `busy` after so many seconds.
  init(in directory: borrowing Directory, seconds: Int) throws(StoreError) {
    let raw = humanz_openat(
      directory.rawValue, StoreLock.fileName, O_RDONLY | O_CREAT | O_NOFOLLOW, 0o600)
    guard raw >= 0 else { throw .last("open", directory.path(of: StoreLock.fileName)) }
    let file = FileDescriptor(raw)
    do throws(FileLockError) { try file.lock(seconds: seconds) } catch {
      let path = directory.path(of: StoreLock.fileName)
      switch error {
      case .busy: throw .busy(path: path, seconds: seconds)
      case .system(let errno): throw .system(attempt: "lock", path: path, errno: errno)
      }
    }
    self.file = file
  }
}
