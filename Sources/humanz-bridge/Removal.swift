import CNI
import CNetlink
import Netlink
import Stage

extension Node {
  /// Removes an attachment's veth pair, both ends by the node's; one that is gone is no error.
  borrowing func remove(_ host: HostInterface) throws(CNIError) {
    do throws(NetlinkError) {
      try socket.perform(.deleteLink(.name(host.name)))
    } catch  where error.errno == ENODEV {
    } catch {
      throw CNIError(error)
    }
  }

  /// Removes the veth pairs of a network whose attachments are not valid any more, going on after
  /// errors.
  borrowing func removePorts(
    of network: NetworkName, keeping valid: [Attachment]
  ) throws(CNIError) {
    let kept = valid.map { HostInterface(of: $0, on: network).alias }.sorted()
    let links: [Link]
    do { links = try socket.links() } catch { throw CNIError(error) }
    var errors: [CNIError] = []
    for link in links {
      guard let alias = link.alias,
        let attachment = HostInterface.attachment(alias: alias, on: network),
        !kept.containsSorted(alias)
      else { continue }
      do throws(CNIError) { try remove(HostInterface(of: attachment, on: network)) } catch {
        errors.append(error)
      }
    }
    if let error = CNIError.combined(errors) { throw error }
  }
}
