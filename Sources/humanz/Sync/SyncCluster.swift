// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Netlink
import Routes

/// The nodes of the cluster, from the output of `kubectl get nodes -o json`, alone, with `--watch`, or with
/// `--output-watch-events`.
struct SyncCluster {
  /// The name of this node.
  let ownName: String
  /// Sorted by name.
  private var nodes: [SyncNode] = []
  /// The nodes of a list that has not ended.
  private var listed: [SyncNode] = []
  /// The last list's resource version, from which a watch continues; nil if it has none.
  private(set) var version: String?

  /// Begins with the nodes of the cluster file, since a stream of events may leave out what has not changed.
  /// A list replaces them all.
  init(ownName: String, remembered file: ClusterFile?) {
    self.ownName = ownName
    guard let file else { return }
    // A node may have a peer in each family: sorting by name puts them together.
    let peers = file.peers.inOrder { isBefore($0.name, $1.name) }
    var rest = peers[...]
    while let first = rest.first {
      let end = rest.firstIndex { $0.name != first.name } ?? rest.endIndex
      nodes.append(SyncNode(first.name, rememberedAs: rest[..<end].map { ($0.subnet, $0.via) }))
      rest = rest[end...]
    }
    if file.node == ownName {
      update(SyncNode(ownName, rememberedAs: file.subnets.map { ($0, []) }))
    }
  }

  /// Drops what has arrived of a list that has not ended.
  mutating func dropIncompleteList() { listed = [] }

  /// The kind of a piece of the input.
  enum Taken {
    case item, list
    /// A node that came, changed or left.
    case change
    /// A node without a change.
    case sameNode
    case nothing
  }

  /// Takes a piece of the input.
  /// - Throws: error 7 for a piece that is neither a Node, a list of Nodes nor an event of a watch; 11 for
  ///   an error that the cluster sends.
  mutating func take(_ piece: SyncDocuments.Piece) throws(CNIError) -> Taken {
    do throws(CNIError) {
      let keys = Keys(piece.json)
      if piece.isItem {
        listed.append(try SyncNode(keys))
        return .item
      }
      let kind = try keys.string("kind") ?? ""
      if kind == "List" || kind == "NodeList" {
        version = try keys.keys("metadata")?.string("resourceVersion")
        nodes = []
        for node in listed { update(node) }
        listed = []
        return .list
      }
      if kind.isEmpty, let type = try keys.string("type"), let object = try keys.keys("object") {
        return try take(event: type, object)
      }
      if kind == "Status" { throw SyncCluster.failure(keys) }
      return update(try SyncNode(keys)) ? .change : .sameNode
    } catch {
      throw CNIError(
        error.code, "stdin: line \(piece.line): \(error.message)", details: error.details)
    }
  }

  /// An event of a watch (Kubernetes API, "Efficient detection of changes").
  private mutating func take(event type: String, _ object: Keys) throws(CNIError) -> Taken {
    if type == "BOOKMARK" { return .nothing }
    if type == "ERROR" { throw SyncCluster.failure(object) }
    let node = try SyncNode(object)
    if type == "DELETED" { return remove(node.name) ? .change : .nothing }
    return update(node) ? .change : .sameNode
  }

  private static func failure(_ status: Keys) -> CNIError {
    CNIError(
      .tryAgainLater, "the cluster answers: \(status.object["message"]?.string ?? "an error")")
  }

  /// - Returns: whether this changes anything.
  @discardableResult
  private mutating func update(_ node: SyncNode) -> Bool {
    let (index, isFound) = search(node.name)
    guard isFound else {
      nodes.insert(node, at: index)
      return true
    }
    defer { nodes[index] = node }
    return nodes[index] != node
  }

  private mutating func remove(_ name: String) -> Bool {
    let (index, isFound) = search(name)
    if isFound { nodes.remove(at: index) }
    return isFound
  }

  /// The index of a node or, if it is not found, the index at which to insert it.
  private func search(_ name: String) -> (index: Int, isFound: Bool) {
    var (low, high) = (0, nodes.count)
    while low < high {
      let middle = (low + high) / 2
      if isBefore(nodes[middle].name, name) { low = middle + 1 } else { high = middle }
    }
    return (low, low < nodes.count && nodes[low].name == name)
  }
}

private func isBefore(_ left: String, _ right: String) -> Bool {
  left.isBefore(right)
}

// MARK: - The file

extension SyncCluster {
  /// The cluster file for this node, with the peers ordered by subnet.
  /// - Parameter problems: a sentence is added for each node or subnet that is left out.
  /// - Returns: nil if this node is missing. Then nothing is applied, since one of the others could have our
  ///   own subnet.
  func file(_ problems: inout [String]) -> ClusterFile? {
    let (index, isFound) = search(ownName)
    guard isFound else { return nil }
    let own = nodes[index]
    problems += own.problems
    problems += withoutSubnet(own)
    var peers: [ClusterFile.Peer] = []
    // Nodes from the cluster come before those from the old file; sorting is stable.
    for remembered in [false, true] {
      for node in nodes where node.isRemembered == remembered && node.name != ownName {
        problems += node.problems
        peers += node.peers(&problems)
      }
    }
    let subnets = ClusterSubnets(
      own: own.subnets, addresses: nodes.flatMap { $0.addresses })
    peers = subnets.usable(peers, &problems)
    return ClusterFile(node: ownName, subnets: own.subnets, peers: peers)
  }

  /// A sentence about the nodes without a podCIDR, this one first; empty if all have one. It is a single
  /// sentence, since a cluster that assigns no podCIDRs may have thousands of nodes.
  private func withoutSubnet(_ own: SyncNode) -> [String] {
    var names = own.subnets.isEmpty && own.problems.isEmpty ? [own.name] : []
    for node in nodes where node.subnets.isEmpty && node.problems.isEmpty {
      if node.name != own.name { names.append(node.name) }
    }
    guard let first = names.first else { return [] }
    let others = names.count - 1
    let subject =
      others == 0
      ? "node \(first) has" : "node \(first) and \(others) more node\(others == 1 ? "" : "s") have"
    return ["\(subject) no podCIDR: was the cluster made with --pod-network-cidr?"]
  }
}
