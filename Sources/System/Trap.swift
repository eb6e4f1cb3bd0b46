// SPDX-License-Identifier: Apache-2.0
import CNetlink

/// What this process does when a trap ends it: it reports the trap, and undoes what it has made.
///
/// At an overflow or an index out of bounds Swift ends the process by an invalid instruction: SIGILL, on arm64
/// SIGTRAP. The check comes before any wrong access, so memory is intact and the signal's handler can run Swift
/// code. A second trap, in the handler, ends the process at once.
///
/// The handler runs on the process's own stack, so it cannot report a stack overflow. The only recursion over
/// input is the JSON parser's, which has a limit.
public enum Trap {
  /// A descriptor of the thread's own network namespace while the thread is in another one; otherwise -1.
  nonisolated(unsafe) private static var ownNamespace: Int32 = -1

  /// The exit status once the answer is on stdout, -1 before. From then on a trap reports and undoes nothing.
  nonisolated(unsafe) private static var status: Int32 = -1
  nonisolated(unsafe) private static var report: ((Int32) -> Void)?
  nonisolated(unsafe) private static var undoSteps: [() -> Void] = []
  nonisolated(unsafe) private static var isHandling = false
  nonisolated(unsafe) private static var hasReported = false
  nonisolated(unsafe) private static var fallback: StaticString = ""
  nonisolated(unsafe) private static var isChild = false

  /// From now on a trap calls `report` with the signal's number, runs the undo steps, and exits with 1. The
  /// corresponding C function is `sigaction`.
  /// - Parameter fallback: goes to stdout if `report` traps too.
  public static func handle(fallback: StaticString, _ report: @escaping (Int32) -> Void) {
    Trap.fallback = fallback
    Trap.report = report
    humanz_catch_traps { signal in Trap.end(by: signal) }
  }

  /// Registers a step that undoes what the process makes from now on. The steps run in the order in which they
  /// are registered. Before them all open descriptors but stdin, stdout and stderr are closed, which releases
  /// the locks.
  @inline(never)
  public static func push(_ step: @escaping () -> Void) {
    if report != nil { undoSteps.append(step) }
  }

  /// Notes that the thread is in another network namespace, with a descriptor of its own one; -1 when it is
  /// back.
  public static func setOwnNamespace(_ descriptor: Int32) {
    if report != nil { ownNamespace = descriptor }
  }

  /// Notes that the process itself has undone what it made.
  public static func forgetSteps() { undoSteps = [] }

  /// Notes that the process has answered: a trap does not change the exit status any more.
  public static func answered(status: Int32) { Trap.status = status }

  /// Notes that this process is a copy of the one that answers.
  static func markAsChild() { isChild = true }

  @inline(never)
  private static func end(by signal: Int32) {
    if status >= 0 { _exit(status) }
    if isHandling, !hasReported {
      write(STDOUT_FILENO, fallback.utf8Start, fallback.utf8CodeUnitCount)
    }
    if isChild || isHandling { _exit(1) }
    isHandling = true
    report?(signal)
    hasReported = true
    if ownNamespace >= 0 { setns(ownNamespace, CLONE_NEWNET) }
    // The undo steps would wait for the locks that this process holds.
    if humanz_close_range(3, .max) != 0 { for descriptor: Int32 in 3..<1024 { close(descriptor) } }
    for step in undoSteps { step() }
    _exit(1)
  }
}
