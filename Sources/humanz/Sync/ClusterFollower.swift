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

/// Makes the cluster file and this node's routes from Kubernetes' nodes.
///
///     kubectl get nodes -o json | humanz sync --node NAME
///
/// If a configuration on the node names the cluster file, its networks' routes are made as an ADD makes them.
/// Otherwise `sync` itself makes the routes to the file's peers, with protocol 72. Routes to peers that leave
/// the file are removed; without such a configuration, a route to a peer that was never in the file is not touched.
/// The routes of departed peers change before the file, so after a kill in between, the next process finds the
/// old file and does the same again.
struct ClusterFollower: Watcher {
  private let path: String
  private var source: NodeSource
  private var cluster: SyncCluster
  private var documents = SyncDocuments()
  /// The time of the oldest change that is not applied, in microseconds.
  private var firstChange: Int?
  /// Whether a list has arrived, which must contain this node.
  private var hasList = false
  /// When the last news came from the cluster; before the first, the time of the file that was found; 1970 without
  /// one.
  private var lastNews = timespec()
  private var reported = ReportedProblems()
  private var log = RepairLog()

  /// - Throws: wrong usage.
  init(_ arguments: Arguments) throws(CNIError) {
    guard let name = arguments["--node"] else { throw .wrongUsage("--node NAME is required") }
    path = try arguments.path("--cluster-file") ?? ClusterFile.defaultPath
    source = NodeSource()
    if arguments.has("--kubectl") || arguments.has("--kubeconfig") {
      source = NodeSource(
        arguments["--kubectl"] ?? "kubectl", arguments["--kubeconfig"],
        watches: arguments.has("--watch"))
    }
    cluster = SyncCluster(ownName: name, remembered: try? ClusterFile(path: path))
    var status = stat()
    if stat(path, &status) == 0 { lastNews = status.st_mtim }
  }

  // MARK: - A list

  /// Applies one list.
  /// - Returns: the exit status: 1 if a node is left out or a route cannot be made.
  mutating func runOnce() throws(CNIError) -> Int32 {
    do throws(CNIError) { return try applyList() } catch { throw named(error) }
  }

  private mutating func applyList() throws(CNIError) -> Int32 {
    var taken = SyncCluster.Taken.nothing
    _ = try source.advance()
    while case .bytes(let bytes) = try source.readInTime() {
      documents.append(bytes)
      while let piece = try documents.next() {
        if taken == .list { throw ClusterFollower.needsList(piece.line) }
        taken = try cluster.take(piece)
        note(taken)
      }
    }
    try documents.finish()
    guard taken == .list else { throw ClusterFollower.needsList(nil) }
    let wrong = try apply()
    noteNews()
    reported.update(wrong)
    return wrong.isEmpty ? 0 : 1
  }

  private static func needsList(_ line: Int?) -> CNIError {
    CNIError(
      .undecodable,
      line.map { "stdin: line \($0): something follows the list of nodes" }
        ?? "stdin: expected a list of nodes, as `kubectl get nodes -o json` prints it",
      details: "a stream of nodes or of events needs --watch")
  }

  // MARK: - A stream

  var descriptor: Int32 { source.descriptor }

  /// A burst of changes, such as at the start of a watch, is applied as one: when nothing more has come for
  /// 20 ms, or after 200 ms.
  private static let quietTime = 20_000
  private static let burstTime = 200_000
  private var lastInput = 0

  var deadline: Int? {
    let burst = firstChange.map {
      min($0 + ClusterFollower.burstTime, lastInput + ClusterFollower.quietTime)
    }
    guard let deadline = source.deadline else { return burst }
    return burst.map { min($0, deadline) } ?? deadline
  }

  mutating func advance(isReadable: Bool) throws(CNIError) {
    do throws(CNIError) {
      take(try source.advance())
      if isReadable {
        lastInput = Clock.microseconds()
        switch try source.read(version: cluster.version) {
        case .bytes(let bytes): try take(bytes)
        case .ended: try ended()
        case .begins, .nothing: break
        }
      }
      if firstChange != nil, let deadline, Clock.microseconds() >= deadline { try applyChange() }
    } catch {
      // A supervisor restarts what feeds stdin; kubectl is restarted here.
      guard !source.isStdin else { throw error }
      firstChange = nil
      source.fail(named(error).sentence)
    }
  }

  /// An error of the input, naming its source.
  private func named(_ error: CNIError) -> CNIError {
    let stdin = "stdin: "
    guard !source.isStdin, error.message.begins(with: stdin) else { return error }
    return CNIError(
      error.code,
      "kubectl: " + error.message.dropping(bytes: stdin.utf8.count),
      details: error.details)
  }

  private mutating func take(_ event: NodeSource.Event) {
    guard case .begins = event else { return }
    documents = SyncDocuments()
    cluster.dropIncompleteList()
  }

  private mutating func take(_ bytes: [UInt8]) throws(CNIError) {
    documents.append(bytes)
    while let piece = try documents.next() { note(try cluster.take(piece)) }
    noteNews()
  }

  /// Sets the cluster file's modification time to now, the time of the last news from the cluster.
  private mutating func noteNews() {
    clock_gettime(CLOCK_REALTIME, &lastNews)
    touchFile()
  }

  private func touchFile() {
    utimensat(AT_FDCWD, path, [lastNews, lastNews], AT_SYMLINK_NOFOLLOW)
  }

  private mutating func ended() throws(CNIError) {
    if firstChange != nil { try applyChange() }
    if source.isStdin {
      try documents.finish()
      throw CNIError(.io, "stdin: the stream of nodes has ended")
    }
    documents = SyncDocuments()
  }

  /// Records the time of the oldest change that is not applied.
  private mutating func note(_ taken: SyncCluster.Taken) {
    switch taken {
    case .list: hasList = true
    case .change: break
    case .item, .sameNode, .nothing: return
    }
    firstChange = firstChange ?? Clock.microseconds()
  }

  private mutating func applyChange() throws(CNIError) {
    firstChange = nil
    reported.update(try apply())
  }

  /// Repairs the routes for the same cluster as before.
  mutating func repairRoutes() {
    guard firstChange == nil else { return }
    do throws(CNIError) { reported.update(try apply()) } catch {
      // A cluster without this node was reported when the nodes were read.
      if error.code != .unknownContainer { reported.update([error.message]) }
    }
  }

  // MARK: - File and routes

  /// Writes the file and makes the node's routes for the cluster.
  /// - Returns: the problems, a sentence each.
  /// - Throws: error 3 if the cluster does not have this node.
  private mutating func apply() throws(CNIError) -> [String] {
    var repairs = Repairs()
    guard let file = cluster.file(&repairs.wrong) else {
      guard hasList else { return [] }
      throw CNIError(
        .unknownContainer, "stdin: the cluster has no node \(cluster.ownName)",
        details: "--node must be this node's name in `kubectl get nodes`")
    }
    let networks = try configuredNetworks()
    // The exclusive lock waits for an ADD that has read the old file, until it has made its routes.
    let lock = try NodeLock(.exclusive)
    let old = try? ClusterFile(path: path)
    try repair(file, after: old, of: networks, &repairs)
    if file != old {
      try file.write(to: path)
      // It may be written without news, as after somebody has removed it: its time stays that of the last news.
      touchFile()
    }
    // Read again: the node's own subnets may be new in the file.
    try repairNodeRoutes(of: file == old ? networks : configuredNetworks(), &repairs)
    lock.unlock()
    if file != old {
      try Output.print(
        "\(path) is written (subnets: \(file.subnets.count), peers: \(file.peers.count))"
      )
    }
    // A change of the cluster is not logged as a repair.
    log.write(file == old ? repairs.done : [])
    return repairs.wrong + repairs.unserved
  }

  /// The networks on this node that name the file.
  private func configuredNetworks() throws(CNIError) -> [ConfiguredNetwork] {
    try ConfiguredNetworks(file: nil).routed.filter { $0.routed?.clusterFile == path }
  }

  /// Removes the routes to peers that have left. If no network of the node names the file, makes the routes to
  /// all others too.
  private func repair(
    _ file: ClusterFile, after old: ClusterFile?, of networks: [ConfiguredNetwork],
    _ repairs: inout Repairs
  ) throws(CNIError) {
    let node = try Node()
    let families = [IPAddress.Family.v4, .v6].filter { family in
      file.subnets.contains { $0.family == family }
    }
    repairs.enableForwarding(families, on: node)
    let subnets = file.peers.map { $0.subnet }
    let departed = old?.peers.map { $0.subnet }.filter { !subnets.containsSorted($0) } ?? []
    guard networks.isEmpty || !departed.isEmpty else { return }
    // As in an ADD of the network that names the file; if none does, there is no overlay.
    let network = networks.first?.routed
    let peers = PeerList(file.peers.map { Peer($0) }, within: network?.network ?? [])
    repairs.repair(try NodeRoutes(peers, staleWithin: departed, of: network, node), on: node)
  }
}
