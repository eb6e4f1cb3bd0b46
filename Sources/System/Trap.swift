// SPDX-License-Identifier: Apache-2.0
import CNetlink

/// What this process still does when a trap ends it: it says so, and takes back what it made.
///
/// Swift ends a process that would go on with a wrong value (an overflow, an index out of bounds) by an
/// instruction that the processor refuses: SIGILL, on arm64 SIGTRAP. The check comes before the damage, so
/// memory is as it was and the process can go on in the signal's handler. A fault there ends it at once.
///
/// There is no stack of its own for the handler: what recurses here (the parser of JSON) has a bound.
public enum Trap {
  /// A descriptor of the thread's own network namespace, while it is in another one; -1 where it is at home.
  nonisolated(unsafe) private static var ownNamespace: Int32 = -1

  /// The exit status, once the answer is on stdout: from then on nothing is said or taken back. -1 before.
  nonisolated(unsafe) private static var status: Int32 = -1
  nonisolated(unsafe) private static var say: ((Int32) -> Void)?
  nonisolated(unsafe) private static var steps: [() -> Void] = []
  nonisolated(unsafe) private static var isHandling = false
  nonisolated(unsafe) private static var hasSaid = false
  nonisolated(unsafe) private static var otherwise: StaticString = ""
  nonisolated(unsafe) private static var isChild = false

  /// From now on a trap calls `say` with the signal's number, then takes the steps, then exits with 1. The
  /// corresponding C function is `sigaction`.
  /// - Parameter otherwise: goes to stdout where a trap ends `say` too.
  public static func handle(otherwise: StaticString, _ say: @escaping (Int32) -> Void) {
    Trap.otherwise = otherwise
    Trap.say = say
    humanz_catch_traps { signal in Trap.end(by: signal) }
  }

  /// Registers a step that takes back what the process makes from now on. The first one is taken first.
  /// Descriptors that are open now are closed then, and with them locks are released.
  @inline(never)
  public static func push(_ step: @escaping () -> Void) {
    if say != nil { steps.append(step) }
  }

  /// The thread leaves its own network namespace, and has a descriptor of it; -1: it is back.
  public static func leavesNamespace(_ descriptor: Int32) {
    if say != nil { ownNamespace = descriptor }
  }

  /// The process has taken back what it made.
  public static func forgetSteps() { steps = [] }

  /// The process has answered, and a trap changes nothing of that.
  public static func answered(status: Int32) { Trap.status = status }

  /// This process is a copy of the one that answers.
  static func isInChild() { isChild = true }

  @inline(never)
  private static func end(by signal: Int32) {
    if status >= 0 { _exit(status) }
    if isHandling, !hasSaid {
      write(STDOUT_FILENO, otherwise.utf8Start, otherwise.utf8CodeUnitCount)
    }
    if isChild || isHandling { _exit(1) }
    isHandling = true
    say?(signal)
    hasSaid = true
    if ownNamespace >= 0 { setns(ownNamespace, CLONE_NEWNET) }
    // The locks that this process holds would stop its own steps.
    if humanz_close_range(3, .max) != 0 { for descriptor: Int32 in 3..<1024 { close(descriptor) } }
    for step in steps { step() }
    _exit(1)
  }
}
