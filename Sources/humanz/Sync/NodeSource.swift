// SPDX-License-Identifier: Apache-2.0
import CNI
import CNetlink
import Embedded
import System

/// The source of the cluster's nodes for `sync`: stdin, or kubectl, which it starts.
struct NodeSource {
  private enum State {
    case stdin
    /// kubectl starts at this time, in microseconds.
    case waiting(until: Int)
    case listing(RunningProgram, since: Int)
    case watching(RunningProgram, since: Int)
  }

  /// An event of the source.
  enum Event {
    case bytes([UInt8])
    /// A new list begins; an incomplete earlier one is dropped.
    case begins
    /// The stream has ended; with kubectl a new one begins by itself.
    case ended
    case nothing
  }

  /// The server ends a watch after this time, in seconds; then all nodes are listed again.
  private static let watchTime = 570
  /// The longest time for a list, in seconds.
  private static let listTime = 120
  private static let longestPause = 30

  private let kubectl: String
  private let kubeconfig: String?
  private let watches: Bool
  private var state: State
  /// The pause after the next failure, in seconds.
  private var pause = 1

  /// Reads stdin.
  init() {
    kubectl = ""
    kubeconfig = nil
    watches = true
    state = .stdin
  }

  /// - Parameters:
  ///   - kubectl: the program's path, or its name in PATH.
  ///   - watches: whether to continue after the first list.
  init(_ kubectl: String, _ kubeconfig: String?, watches: Bool) {
    self.kubectl = kubectl
    self.kubeconfig = kubeconfig
    self.watches = watches
    state = .waiting(until: 0)
  }

  var isStdin: Bool { if case .stdin = state { true } else { false } }

  /// The descriptor for poll(2); negative if there is none.
  var descriptor: Int32 {
    switch state {
    case .stdin: STDIN_FILENO
    case .waiting: -1
    case .listing(let program, _), .watching(let program, _): program.output.rawValue
    }
  }

  /// When to call `advance` even if nothing can be read, in microseconds of `Clock`; nil for never.
  var deadline: Int? {
    switch state {
    case .stdin: nil
    case .waiting(let time): time
    // In case the server accepts the request and never answers. (With kubectl's --request-timeout, kubectl does
    // not use a pod's service account.)
    case .listing(_, let since): since + NodeSource.listTime * 1_000_000
    // In case the server does not end the watch.
    case .watching(_, let since): since + (NodeSource.watchTime + 30) * 1_000_000
    }
  }

  /// After the deadline, starts kubectl, or ends one that has taken too long.
  /// - Parameter now: in microseconds of `Clock`.
  /// - Throws: if kubectl cannot be started; then the caller calls `fail`.
  mutating func advance(at now: Int = Clock.microseconds()) throws(CNIError) -> Event {
    guard let deadline, now >= deadline else { return .nothing }
    if case .watching = state {
      (pause, state) = (1, .waiting(until: 0))
      return .ended
    }
    if case .listing = state {
      fail(NodeSource.lateList)
      return .nothing
    }
    state = .listing(try start("/api/v1/nodes"), since: Clock.microseconds())
    return .begins
  }

  private static var lateList: String {
    "kubectl did not finish the list of nodes within \(listTime) s"
  }

  /// Waits for input of a single list, and reads what has arrived.
  /// - Throws: also if kubectl takes too long; stdin has no limit.
  mutating func readInTime() throws(CNIError) -> Event {
    if let deadline {
      let wait = Int32(max(0, deadline - Clock.microseconds()) / 1000)
      guard readable(among: [descriptor], milliseconds: wait)[0] else {
        throw CNIError(.io, NodeSource.lateList)
      }
    }
    return try read(version: nil)
  }

  /// Reads what has arrived.
  /// - Parameter version: the resource version of the list that has ended, from which a watch continues.
  mutating func read(version: String?) throws(CNIError) -> Event {
    var status: Int32 = 0
    do throws(SystemError) {
      switch state {
      case .stdin:
        return try StandardStream.readAvailableInput().map { .bytes($0) } ?? .ended
      case .waiting:
        return .nothing
      case .listing(let program, _):
        if let bytes = try program.readAvailableOutput() { return .bytes(bytes) }
        status = program.waitForEnd()
        if watches { listEnded(status: status, version: version) }
      case .watching(let program, let since):
        if let bytes = try program.readAvailableOutput() { return .bytes(bytes) }
        watchEnded(status: program.waitForEnd(), since: since)
      }
    } catch {
      throw CNIError(error)
    }
    if !watches, status != 0 {
      throw CNIError(.io, "\(kubectl) listed no nodes: it ended with status \(status)")
    }
    return .ended
  }

  private mutating func listEnded(status: Int32, version: String?) {
    guard status == 0, let version, version.utf8.allSatisfy({ isAlphanumeric($0) }) else {
      return fail(
        status == 0
          ? "kubectl's list of nodes has no valid resourceVersion"
          : "kubectl listed no nodes: it ended with status \(status)")
    }
    do throws(CNIError) {
      let path =
        "/api/v1/nodes?watch=true&resourceVersion=\(version)&timeoutSeconds=\(NodeSource.watchTime)"
      state = .watching(try start(path), since: Clock.microseconds())
    } catch {
      fail(error.message)
    }
  }

  /// Lists the nodes again after a watch: at once, or after a pause if the watch failed or took less than 5 s.
  private mutating func watchEnded(status: Int32, since: Int) {
    let wasShort = Clock.microseconds() - since < 5_000_000
    if status != 0 || wasShort { return fail("kubectl's watch has ended") }
    pause = 1
    state = .waiting(until: 0)
  }

  /// Ends kubectl, and starts it again after a pause, which doubles with each failure.
  mutating func fail(_ message: String) {
    Output.complain("\(message); kubectl is started again in \(pause) s")
    state = .waiting(until: Clock.microseconds() + pause * 1_000_000)
    pause = min(pause * 2, NodeSource.longestPause)
  }

  private func start(_ path: String) throws(CNIError) -> RunningProgram {
    let arguments = (kubeconfig.map { ["--kubeconfig", $0] } ?? []) + ["get", "--raw", path]
    do { return try Program(kubectl, arguments: arguments).start() } catch {
      throw CNIError(error)
    }
  }
}
