// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import Leases
import Netlink
import Node
import Routes
import System

/// `humanz sync`.
func synchronize(_ arguments: Arguments) throws(CNIError) -> Int32 {
  guard arguments.has("--watch") || !arguments.has("--metrics") else {
    throw .wrongUsage("--metrics needs --watch")
  }
  let metrics = try arguments.path("--metrics")
  let heartbeat = try arguments.path("--heartbeat")
  if let heartbeat, !arguments.has("--watch") {
    guard arguments["--node"] == nil, arguments.operands.isEmpty else {
      throw .wrongUsage("--heartbeat needs --watch")
    }
    return try checkHeartbeat(heartbeat)
  }
  if arguments["--node"] == nil {
    guard let file = arguments.operands.first else {
      throw .wrongUsage("--node NAME or CONFLIST is required")
    }
    for option in ["--cluster-file", "--kubectl", "--kubeconfig"] where arguments.has(option) {
      throw .wrongUsage("\(option) needs --node NAME")
    }
    let keeper = try RouteKeeper(file: file)
    return arguments.has("--watch") ? try watch(keeper, metrics, heartbeat) : try keeper.runOnce()
  }
  guard arguments.operands.isEmpty else {
    throw .wrongUsage("--node NAME and CONFLIST exclude each other")
  }
  var follower = try ClusterFollower(arguments)
  return arguments.has("--watch") ? try watch(follower, metrics, heartbeat) : try follower.runOnce()
}

/// What `sync --watch` runs: it reads its input, and repairs the routes.
protocol Watcher {
  /// The descriptor for poll(2); negative if there is none.
  var descriptor: Int32 { get }
  /// When to call `advance` even if nothing can be read, in microseconds of `Clock`; nil for never.
  var deadline: Int? { get }
  /// Reads the input if `isReadable`, and acts on it once the deadline is over.
  mutating func advance(isReadable: Bool) throws(CNIError)
  /// Compares the node's routes with what they must be, and repairs them.
  mutating func repairRoutes()
}

/// How long to collect the kernel's notifications before a repair, and the shortest time between two repairs, in
/// microseconds.
private let settleTime = 100_000
private let shortestInterval = 500_000
/// The longest time between two repairs, even without a notification.
private let longestInterval = 10_000_000

/// Runs a watcher, and follows the kernel's changes, until a signal ends the process.
/// - Parameters:
///   - metrics: the file to write after each repair; nil for none.
///   - heartbeat: an empty file to write after each repair; by its age a supervisor knows that the process still
///     works; nil for none.
private func watch<W: Watcher>(
  _ watcher: W, _ metrics: String?, _ heartbeat: String?
) throws(CNIError) -> Int32 {
  var watcher = watcher
  let signals: TerminationSignals
  do { signals = try TerminationSignals() } catch { throw CNIError(error) }
  let kernel: RouteNotifications
  do { kernel = try RouteNotifications() } catch { throw CNIError(error) }
  var lastRepair = Clock.microseconds() - longestInterval
  var firstNotification: Int?
  var unwritten = ReportedProblems()
  while true {
    var wakeTime = lastRepair + longestInterval
    if let firstNotification {
      wakeTime = min(wakeTime, max(firstNotification + settleTime, lastRepair + shortestInterval))
    }
    if let deadline = watcher.deadline { wakeTime = min(wakeTime, deadline) }
    let wait = max(0, wakeTime - Clock.microseconds()) / 1000 + 1
    let ready = readable(
      among: [signals.descriptor, watcher.descriptor, kernel.descriptor],
      milliseconds: Int32(min(wait, longestInterval / 1000)))
    if ready[0] { return 0 }
    if ready[2], kernel.drain() { firstNotification = firstNotification ?? Clock.microseconds() }
    try watcher.advance(isReadable: ready[1])
    let now = Clock.microseconds()
    let isNotified = firstNotification.map {
      now >= max($0 + settleTime, lastRepair + shortestInterval)
    }
    guard isNotified == true || now >= lastRepair + longestInterval else { continue }
    watcher.repairRoutes()
    firstNotification = nil
    lastRepair = Clock.microseconds()
    var problems: [String] = []
    if let metrics {
      do throws(CNIError) { try replaceFile(metrics, with: Metrics().text) } catch {
        problems.append(error.sentence)
      }
    }
    if let heartbeat {
      do throws(CNIError) { try replaceFile(heartbeat, with: "") } catch {
        problems.append(error.sentence)
      }
    }
    unwritten.update(problems)
  }
}

/// How old a heartbeat may be, in seconds: the time of six repairs.
private let heartbeatLimit = 60

/// - Returns: 1 if the heartbeat is missing or too old.
private func checkHeartbeat(_ path: String) throws(CNIError) -> Int32 {
  var (status, now) = (stat(), timespec())
  clock_gettime(CLOCK_REALTIME, &now)
  guard stat(path, &status) == 0 else { throw CNIError(.last("get the status of \(path)")) }
  let age = now.tv_sec - status.st_mtim.tv_sec
  guard age > heartbeatLimit else { return 0 }
  Output.complain("\(path) is \(age) seconds old: `humanz sync` hangs, or has ended")
  return 1
}

/// Replaces a file in one step, readable by all.
private func replaceFile(_ path: String, with text: String) throws(CNIError) {
  do {
    try Directory.replaceFile(at: path, Array(text.utf8), mode: 0o644, durable: false)
  } catch {
    throw CNIError(error)
  }
}

/// Sentences about problems. Each is printed when the problem appears, and not again while it lasts.
struct ReportedProblems {
  /// Sorted.
  private var known: [String] = []

  mutating func update(_ sentences: [String]) {
    let sentences = sentences.sortedByBytes()
    var last: String?
    for sentence in sentences where sentence != last {
      last = sentence
      if !known.containsSorted(sentence) { Output.complain(sentence) }
    }
    known = sentences
  }
}
