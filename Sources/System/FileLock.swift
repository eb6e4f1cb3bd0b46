// SPDX-License-Identifier: Apache-2.0
import CNetlink

extension FileDescriptor {
  /// Locks the file for as long as it is open. Several processes may hold a `shared` lock at once. The
  /// corresponding C function is `flock`.
  /// - Parameter seconds: how long to wait for other holders.
  /// - Precondition: `seconds` is at least 1.
  /// - Throws: `wouldBlock` if another process holds the lock all that time.
  public borrowing func lock(shared: Bool = false, seconds: Int) throws(Errno) {
    try flockFile(rawValue, shared: shared, seconds: seconds)
  }
}

/// As `FileDescriptor.lock`, for a descriptor that the caller owns. While it waits, it uses SIGALRM and the
/// process's timer (ITIMER_REAL).
/// - Precondition: `seconds` is at least 1: with 0 it would wait without end.
@inline(never)
public func flockFile(_ descriptor: Int32, shared: Bool = false, seconds: Int) throws(Errno) {
  let operation = shared ? LOCK_SH : LOCK_EX
  if flock(descriptor, operation | LOCK_NB) == 0 { return }
  guard Errno.last == .wouldBlock else { throw .last }
  let timer = Interruptions(after: seconds)
  let deadline = Clock.microseconds() + seconds * 1_000_000
  // Without `valueOrErrno`: after a signal the deadline is compared.
  while flock(descriptor, operation) != 0 {
    guard Errno.last == .interrupted else { throw .last }
    guard Clock.microseconds() < deadline else { throw .wouldBlock }
  }
  timer.end()
}

/// Interrupts the process's system calls after some seconds, and every tenth of a second from then on:
/// a single signal could come just before the call. The corresponding C function is `setitimer`.
private struct Interruptions: ~Copyable {
  init(after seconds: Int) {
    humanz_signal_interrupt(SIGALRM) { _ in }
    // The caller of the process may have blocked the signal.
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
