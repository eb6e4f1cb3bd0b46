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
    of network: NetworkName, keeping valid: [Attachment], _ references: BridgeReferences,
    on node: borrowing Node
  ) throws(CNIError) {
    let all = try node.kernel.links()
    let stale = AttachmentPair.stale(among: all, of: network, keeping: valid)
    links = stale.map { $0.link }
    networkHasOthers = all.contains { $0.isAttached(to: network, besides: stale.map { $0.link }) }
    traces = stale.map { AttachmentTraces(of: $0.attachment, on: network) }
    if !stale.isEmpty { group = LinkDeletion.privateGroup(besides: all) }
    let known = try BridgeNeighbours.all(on: references.links, among: all, of: node)
    for index in traces.indices { traces[index].findLeased(references.leases, among: known) }
    neighbours = known.filter { neighbour in traces.contains { $0.owns(neighbour) } }
    guard
      let bridge = all.first(where: { $0.name == references.bridge && $0.kind == "bridge" })
    else { return }
    let orphans = try BridgeNeighbours.orphans(among: known, besides: links, bridge, of: node)
    neighbours += orphans.filter { orphan in !traces.contains { $0.owns(orphan) } }
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
