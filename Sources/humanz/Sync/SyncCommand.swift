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
  var command = try SyncCommand(arguments)
  return try command.run()
}

/// What Kubernetes tells of its nodes, made this node's cluster file and routes.
///
///     kubectl get nodes -o json | humanz sync --node NAME
///
/// It removes the routes of protocol 72 to the subnets of peers that the file named before and does not
/// name now. It does not know `network`: an ADD removes what is stale there. It leaves alone a route that
/// the file never named, such as that of a static peer. The routes change before the file does: a sync
/// that is killed in between leaves the old file, and the next sync does the same again.
struct SyncCommand {
  private let path: String
  /// Whether to follow the input to its end, which is then an error.
  private let watches: Bool
  private var cluster: SyncCluster
  private var documents = SyncDocuments()
  /// When the oldest change came that is not applied, and when the routes were last looked at, in
  /// microseconds.
  private var firstChange: Int?
  private var lastLook = 0
  /// Whether the input must have told of this node by now.
  private var isNodeDue = false
  /// The complaints of the last look, sorted.
  private var complaints: [String] = []

  /// - Throws: wrong usage.
  fileprivate init(_ arguments: Arguments) throws(CNIError) {
    guard let name = arguments["--node"] else { throw .wrongUsage("--node NAME is required") }
    path = try arguments.path("--cluster-file") ?? ClusterFile.defaultPath
    watches = arguments.has("--watch")
    cluster = SyncCluster(ownName: name, remembered: try? ClusterFile(path: path))
  }

  /// - Returns: the exit status.
  /// - Throws: at the end of a stream too, so that who supervises this starts it anew.
  mutating func run() throws(CNIError) -> Int32 {
    var taken = SyncCluster.Taken.nothing
    while let bytes = try SyncCommand.read() {
      documents.append(bytes)
      while let piece = try documents.next() {
        if taken == .list, !watches { throw SyncCommand.needsList(piece.line) }
        taken = try cluster.take(piece)
        note(taken)
      }
      if watches { try applyIfDue() }
    }
    if watches, firstChange != nil { try apply() }
    try documents.finish()
    guard !watches else { throw CNIError(.io, "stdin: the stream of nodes has ended") }
    guard taken == .list else { throw SyncCommand.needsList(nil) }
    try apply()
    return 0
  }

  private static func needsList(_ line: Int?) -> CNIError {
    CNIError(
      .undecodable,
      line.map { "stdin: line \($0): something follows the list of nodes" }
        ?? "stdin: expected a list of nodes, as `kubectl get nodes -o json` prints it",
      details: "a stream of nodes or of events needs --watch")
  }

  private static func read() throws(CNIError) -> [UInt8]? {
    do { return try StandardStream.readAvailableInput() } catch { throw CNIError(error) }
  }
}

// MARK: - When to apply

extension SyncCommand {
  /// Notes when the oldest change that is not applied was.
  private mutating func note(_ taken: SyncCluster.Taken) {
    let now = Clock.microseconds()
    switch taken {
    case .list: isNodeDue = true
    case .change: break
    // A look at the kernel's routes heals what others did to them.
    case .sameNode where now - lastLook > 1_000_000: break
    case .item, .sameNode, .nothing: return
    }
    firstChange = firstChange ?? now
  }

  /// Applies what changed as soon as nothing more is on its way: what comes in one burst, as every
  /// node does at the start of a watch, is one change. A fifth of a second is a burst's end.
  private mutating func applyIfDue() throws(CNIError) {
    guard let firstChange else { return }
    if Clock.microseconds() - firstChange > 200_000 || !StandardStream.hasInput(milliseconds: 20) {
      try apply()
    }
  }

  /// Makes the node's routes and the file what the cluster says.
  /// - Throws: error 3 where the cluster does not have this node.
  private mutating func apply() throws(CNIError) {
    var wrong: [String] = []
    guard let file = cluster.file(&wrong) else {
      guard isNodeDue else { return }
      throw CNIError(
        .unknownContainer, "stdin: the cluster has no node \(cluster.ownName)",
        details: "--node names the node that this one is, as `kubectl get nodes` lists it")
    }
    // An ADD that has read the old file is through with the routes before they change.
    let lock = try NodeLock(.exclusive)
    let old = try? ClusterFile(path: path)
    wrong += try putRoutesRight(file, after: old)
    if file != old { try file.write(to: path) }
    lock.unlock()
    firstChange = nil
    lastLook = Clock.microseconds()
    if file != old {
      try Output.print("\(path): \(file.subnets.count) subnets, \(file.peers.count) peers")
    }
    complain(wrong)
  }

  /// - Returns: what cannot be made, each as a sentence.
  private func putRoutesRight(
    _ file: ClusterFile, after old: ClusterFile?
  ) throws(CNIError) -> [String] {
    let node = try Node()
    var wrong: [String] = []
    for family in [IPAddress.Family.v4, .v6]
    where file.subnets.contains(where: { $0.family == family }) {
      do throws(CNIError) { try Forwarding.enable(family, on: node) } catch {
        wrong.append(error.message)
      }
    }
    let networks = (try? ConfiguredNetworks(file: nil))?.routed ?? []
    let routes = try NodeRoutes(to: file, at: path, after: old, of: networks, node)
    return wrong + routes.repair(on: node)
  }

  /// Says what is wrong, and not again what was wrong before.
  private mutating func complain(_ wrong: [String]) {
    let wrong = wrong.sortedByBytes()
    for sentence in wrong where !complaints.containsSorted(sentence) {
      Output.complain(sentence)
    }
    complaints = wrong
  }
}
