// SPDX-License-Identifier: Apache-2.0
import CNI
import Netlink
import Node

/// What GC deletes: the pairs of attachments that are not valid any more, their neighbours and connections.
struct StaleAttachments {
  /// The node's ends of the pairs.
  private(set) var links: [Link] = []
  /// Their neighbour entries, and those of pods that are gone already.
  private(set) var neighbours: [Neighbour] = []
  /// Whether the network has other attachments; true until that is known.
  private(set) var networkHasOthers = true
  private var traces: [AttachmentTraces] = []
  /// A link group that only these links are in.
  private var group: UInt32 = 0

  /// Without any attachment.
  init() {}

  init(
    of network: NetworkName, keeping valid: [Attachment], _ keys: BridgeDeletionKeys,
    on node: borrowing Node
  ) throws(CNIError) {
    let all = try node.kernel.links()
    let stale = AttachmentPair.stale(among: all, of: network, keeping: valid)
    links = stale.map { $0.link }
    networkHasOthers = all.contains { $0.isAttached(to: network, besides: stale.map { $0.link }) }
    traces = stale.map { AttachmentTraces(of: $0.attachment, on: network) }
    if !stale.isEmpty { group = LinkDeletion.privateGroup(besides: all) }
    let known = try BridgeNeighbours.all(
      on: all.filter { keys.links.contains($0.name) }, of: node)
    for index in traces.indices { traces[index].findLeased(keys.leases, among: known) }
    let bridge = all.first { $0.name == keys.bridge && $0.kind == "bridge" }
    var entries: [ForwardingEntry] = []
    if let bridge {
      // Those of the pairs are deleted with them.
      entries = try node.kernel.forwardingEntries(of: bridge.index).filter { entry in
        !links.contains { $0.index == entry.index }
      }
    }
    neighbours = known.filter { neighbour in
      traces.contains { $0.owns(neighbour) }
        || bridge != nil && neighbour.isOrphan(among: entries)
    }
  }

  /// Starts the deletion of the pairs, all at once.
  func startDeletion(in kernel: borrowing Kernel, waits: Bool) -> LinkDeletion {
    links.isEmpty ? LinkDeletion() : LinkDeletion(of: links, group: group, in: kernel, waits: waits)
  }

  /// Deletes the tracked connections of the pairs, once no packet can make them again.
  func forgetConnections() throws(CNIError) {
    try Node.forgetConnections(of: traces)
  }
}
