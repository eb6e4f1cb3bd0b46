import CNI
import CNetlink
import Netfilter
import Netlink
import Stage

/// DEL and GC: they find things by the attachment's name and the links' aliases, so that they need
/// neither the namespace nor a result, and what is gone already is no error.
extension Node {
  /// Removes an attachment's pair, both ends by the node's, and what the node remembers of it.
  borrowing func remove(
    _ traces: AttachmentTraces, _ configuration: BridgeConfiguration
  ) throws(CNIError) {
    do throws(NetlinkError) {
      let neighbours = try neighbours(configuration)
      try deletePair(traces.host)
      try forget(traces, among: neighbours)
      // A kernel since 6.16 keeps a port's chain for the next port of that name.
      if configuration.macspoofchk {
        try SourceCheck.remove(port: traces.host.name, NetfilterSocket())
      }
    } catch {
      throw CNIError(error)
    }
  }

  /// Removes what belongs to attachments of a network that are not valid any more, going on after
  /// errors.
  borrowing func removeAll(
    of network: NetworkName, keeping valid: [Attachment], _ configuration: BridgeConfiguration
  ) throws(CNIError) {
    let kept = valid.map { HostInterface(of: $0, on: network).alias }.sortedByBytes()
    let links: [Link]
    do { links = try socket.links() } catch { throw CNIError(error) }
    var errors: [CNIError] = []
    for link in links {
      guard let alias = link.alias,
        let attachment = HostInterface.attachment(alias: alias, on: network),
        !kept.containsSorted(alias)
      else { continue }
      do throws(CNIError) {
        try remove(AttachmentTraces(of: attachment, on: network), configuration)
      } catch {
        errors.append(error)
      }
    }
    do throws(NetlinkError) { try removeOrphans(configuration) } catch {
      errors.append(CNIError(error))
    }
    if let error = CNIError.combined(errors) { throw error }
  }

  /// Removes what attachments left whose links went with their namespace: the check of a port that
  /// is gone, and neighbours that are behind no port. (A neighbour entry is a cache's: one that was
  /// good after all is made again by the next packet.)
  private borrowing func removeOrphans(
    _ configuration: BridgeConfiguration
  ) throws(NetlinkError) {
    if let netfilter = try? NetfilterSocket() {
      for port in try SourceCheck.ports(netfilter) where try socket.link(named: port) == nil {
        try SourceCheck.remove(port: port, netfilter)
      }
    }
    guard let bridge = try socket.link(named: configuration.bridge), bridge.kind == "bridge" else {
      return
    }
    let reachable = try socket.forwardingEntries(bridge: bridge.index).map { $0.mac }
    try forget(
      try neighbours(configuration).filter { neighbour in
        !neighbour.isPermanent && !(neighbour.mac.map { reachable.contains($0) } ?? false)
      })
  }

  /// Deletes the node's end, and so both; not a link of that name whose alias is another's.
  private borrowing func deletePair(_ host: HostInterface) throws(NetlinkError) {
    guard let link = try socket.link(named: host.name),
      link.alias == nil || link.alias == host.alias
    else { return }
    do throws(NetlinkError) { try socket.perform(.deleteLink(.index(link.index))) } catch {
      if !error.isMissing { throw error }
    }
  }

  /// The neighbours that the node knows on the bridge, and on its link in the pods' VLAN.
  private borrowing func neighbours(
    _ configuration: BridgeConfiguration
  ) throws(NetlinkError) -> [Neighbour] {
    var names = [configuration.bridge]
    if let vlan = configuration.vlans?.access,
      let name = try? configuration.gatewayName(vlan: vlan)
    {
      names.append(name)
    }
    var neighbours: [Neighbour] = []
    for name in names {
      guard let link = try socket.link(named: name) else { continue }
      neighbours += try socket.neighbours(index: link.index)
    }
    return neighbours
  }
}
