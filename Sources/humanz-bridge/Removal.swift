import Addresses
import CNI
import CNetlink
import Embedded
import Netfilter
import Netlink
import Node

/// DEL and GC: they find things by the attachment's name and the links' aliases, so that they need
/// neither the namespace nor a result, and what is gone already is no error.
extension Node {
  /// Removes an attachment's pair, both ends by the node's, and what the node remembers of it.
  borrowing func remove(
    _ traces: AttachmentTraces, _ references: BridgeReferences
  ) throws(CNIError) {
    let neighbours = try neighbours(references)
    try deletePair(traces.host)
    try forget(traces, among: neighbours)
    // A kernel since 6.16 keeps a port's chain for the next port of that name.
    if references.macspoofchk {
      try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
        try SourceCheck.remove(port: traces.host.name, socket)
      }
    }
  }

  /// Removes what belongs to attachments of a network that are not valid any more, going on after
  /// errors.
  borrowing func removeAll(
    of network: NetworkName, keeping valid: [Attachment], _ references: BridgeReferences
  ) throws(CNIError) {
    let kept = valid.map { HostInterface(of: $0, on: network).alias }.sortedByBytes()
    var errors: [CNIError] = []
    for link in try kernel.links() {
      guard let alias = link.alias,
        let attachment = HostInterface.attachment(alias: alias, on: network),
        !kept.containsSorted(alias)
      else { continue }
      do throws(CNIError) {
        try remove(AttachmentTraces(of: attachment, on: network), references)
      } catch {
        errors.append(error)
      }
    }
    do throws(CNIError) { try removeOrphans(references) } catch { errors.append(error) }
    if let error = CNIError.combined(errors) { throw error }
  }

  /// Removes what attachments left whose links went with their namespace: the check of a port that
  /// is gone, and neighbours that are behind no port. (A neighbour entry is a cache's: one that was
  /// good after all is made again by the next packet.)
  private borrowing func removeOrphans(
    _ references: BridgeReferences
  ) throws(CNIError) {
    var ports: [InterfaceName] = []
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      ports = try SourceCheck.ports(socket)
    }
    for port in ports where try kernel.link(port) == nil {
      try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
        try SourceCheck.remove(port: port, socket)
      }
    }
    guard let bridge = try kernel.link(references.bridge), bridge.kind == "bridge" else {
      return
    }
    let reachable = try kernel.forwardingEntries(of: bridge.index).map { $0.mac }
    try forget(
      try neighbours(references).filter { neighbour in
        !neighbour.isPermanent && !(neighbour.mac.map { reachable.contains($0) } ?? false)
      })
  }

  /// Deletes the node's end, and so both; not a link of that name whose alias is another's.
  private borrowing func deletePair(_ host: HostInterface) throws(CNIError) {
    guard let link = try kernel.link(host.name),
      link.alias == nil || link.alias == host.alias
    else { return }
    try kernel.performIfPresent([.deleteLink(.index(link.index))])
  }

  /// The neighbours that the node knows on the bridge, and on its link in the pods' VLAN.
  private borrowing func neighbours(
    _ references: BridgeReferences
  ) throws(CNIError) -> [Neighbour] {
    var neighbours: [Neighbour] = []
    for name in references.links {
      guard let link = try kernel.link(name) else { continue }
      neighbours += try kernel.neighbours(of: link.index)
    }
    return neighbours
  }
}
