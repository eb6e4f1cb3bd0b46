import CNetlink

/// Why a lock was not had.
public enum FileLockError: Error, Equatable {
  /// Another process has had it all the time.
  case busy
  /// The system's own reason.
  case system(Int32)
}

extension FileDescriptor {
  /// Locks the file, for as long as it is open; other processes may hold it too where it is `shared`.
  /// The corresponding C function is `flock`, whose queue is waited in for so many seconds.
  public borrowing func lock(shared: Bool = false, seconds: Int) throws(FileLockError) {
    let operation = shared ? LOCK_SH : LOCK_EX
    if flock(rawValue, operation | LOCK_NB) == 0 { return }
    guard humanz_errno() == EWOULDBLOCK else { throw .system(humanz_errno()) }
    let timer = Interruptions(after: seconds)
    let deadline = Clock.microseconds() + seconds * 1_000_000
    while flock(rawValue, operation) != 0 {
      guard humanz_errno() == EINTR else { throw .system(humanz_errno()) }
      guard Clock.microseconds() < deadline else { throw .busy }
    }
    timer.end()
  }
}

/// Interrupts the process's system calls after some seconds, and goes on doing so, lest the first
/// signal came just before the call. The corresponding C function is `setitimer`.
private struct Interruptions: ~Copyable {
  init(after seconds: Int) {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in }
    sigaction(SIGALRM, &action, nil)
    // Whoever started us may have held the signal back.
    var alarm = sigset_t()
    sigemptyset(&alarm)
    sigaddset(&alarm, SIGALRM)
    sigprocmask(SIG_UNBLOCK, &alarm, nil)
    var timer = itimerval()
    timer.it_interval.tv_usec = 100_000
    timer.it_value.tv_sec = seconds
    setitimer(ITIMER_REAL, &timer, nil)
  }

  deinit {
    var timer = itimerval()
    setitimer(ITIMER_REAL, &timer, nil)
  }

  consuming func end() {}
}
