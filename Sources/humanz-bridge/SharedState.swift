import CNI
import Netfilter
import Netlink
import Stage

/// What the attachments to a network share on the node goes when the last of them has gone.
extension Socket where Family == RouteFamily {
  /// Whether a bridge has a port of an attachment to the network; without one, whether any has.
  borrowing func isUsed(
    _ network: NetworkName, bridge: Int32? = nil
  ) throws(NetlinkError) -> Bool {
    try links(master: bridge).contains { link in
      link.alias.map { HostInterface.attachment(alias: $0, on: network) != nil } ?? false
    }
  }
}

/// Takes something of a network's back, unless an attachment uses it: in an undo, where another ADD
/// may have come to use it meanwhile.
func takeBack(
  ifUnused network: NetworkName, bridge: Int32? = nil, _ node: borrowing RouteSocket,
  _ step: (borrowing RouteSocket) -> Void
) {
  guard let lock = try? NodeLock(.exclusive) else { return }
  if (try? node.isUsed(network, bridge: bridge)) == false { step(node) }
  lock.unlock()
}

extension Node {
  /// Has what leaves these subnets leave with the node's address. Nothing is sent where it does.
  borrowing func masquerade(
    _ subnets: [IPPrefix], of network: NetworkName, undo: inout Undo
  ) throws(CNIError) {
    let masquerade = Masquerade(network: network, inside: subnets, except: subnets)
    do throws(NetlinkError) {
      let netfilter = try NetfilterSocket()
      if try masquerade.isInstalled(netfilter) { return }
      undo.push { (node, _) in
        takeBack(ifUnused: network, node) { _ in
          if let netfilter = try? NetfilterSocket() {
            try? Masquerade.remove(network: network, netfilter)
          }
        }
      }
      try masquerade.install(netfilter)
    } catch {
      throw CNIError(error)
    }
  }

  /// Ends the masquerade of a network that has no attachment any more.
  borrowing func endMasquerade(ofUnused network: NetworkName) throws(CNIError) {
    do throws(NetlinkError) {
      // Looked at twice: a network that is in use must not wait for the lock.
      if try socket.isUsed(network) { return }
    } catch {
      throw CNIError(error)
    }
    let lock = try NodeLock(.exclusive)
    do throws(NetlinkError) {
      if try !socket.isUsed(network) {
        try Masquerade.remove(network: network, NetfilterSocket())
      }
    } catch {
      throw CNIError(error)
    }
    lock.unlock()
  }
}
