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
    try StoreLock.lock(file, directory.path(of: StoreLock.fileName), seconds: seconds)
    self.file = file
  }

  private static func lock(
    _ file: borrowing FileDescriptor, _ path: String, seconds: Int
  ) throws(StoreError) {
    if flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 { return }
    guard humanz_errno() == EWOULDBLOCK else { throw .last("lock", path) }
    try wait(for: file, path, seconds: seconds)
  }

  /// Waits in the kernel's own queue. A timer's signal interrupts the wait, and goes on doing so, lest
  /// the first one came just before it.
  private static func wait(
    for file: borrowing FileDescriptor, _ path: String, seconds: Int
  ) throws(StoreError) {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in }
    sigaction(SIGALRM, &action, nil)
    // Whoever started us may have held the signal back.
    var alarm = sigset_t()
    sigemptyset(&alarm)
    sigaddset(&alarm, SIGALRM)
    sigprocmask(SIG_UNBLOCK, &alarm, nil)
    var timer = itimerval(
      it_interval: timeval(tv_sec: 0, tv_usec: 100_000), it_value: timeval(tv_sec: 0, tv_usec: 0))
    timer.it_value.tv_sec = seconds
    setitimer(ITIMER_REAL, &timer, nil)
    defer {
      timer = itimerval()
      setitimer(ITIMER_REAL, &timer, nil)
    }
    let deadline = Clock.microseconds() + seconds * 1_000_000
    while flock(file.rawValue, LOCK_EX) != 0 {
      guard humanz_errno() == EINTR else { throw .last("lock", path) }
      guard Clock.microseconds() < deadline else { throw .busy(path: path, seconds: seconds) }
    }
  }
}
