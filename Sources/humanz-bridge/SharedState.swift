import CNI
import Netfilter
import Netlink
import Stage

/// What the attachments to a network share on the node goes when the last of them has gone.
extension Socket where Family == RouteFamily {
  /// Whether a bridge has a port of an attachment to the network.
  borrowing func isUsed(bridge: Int32, by network: NetworkName) throws(NetlinkError) -> Bool {
    try links(master: bridge).contains { link in
      link.alias.map { HostInterface.attachment(alias: $0, on: network) != nil } ?? false
    }
  }
}

/// Takes something of a network's back, unless an attachment uses it: in an undo, where another ADD
/// may have come to use it meanwhile.
func takeBack(
  ifUnused bridge: Int32, _ network: NetworkName, _ node: borrowing RouteSocket,
  _ step: (borrowing RouteSocket) -> Void
) {
  guard let lock = try? NodeLock(.exclusive) else { return }
  if (try? node.isUsed(bridge: bridge, by: network)) == false { step(node) }
  lock.unlock()
}

extension Node {
  /// Has what leaves these subnets leave with the node's address. Nothing is sent where it does.
  borrowing func masquerade(
    _ subnets: [IPPrefix], of network: NetworkName, bridge: Link, undo: inout Undo
  ) throws(CNIError) {
    let masquerade = Masquerade(network: network, inside: subnets, except: subnets)
    do throws(NetlinkError) {
      let netfilter = try NetfilterSocket()
      if try masquerade.isInstalled(netfilter) { return }
      undo.push { (node, _) in
        takeBack(ifUnused: bridge.index, network, node) { _ in
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
  borrowing func endMasquerade(
    of network: NetworkName, ifUnused bridge: InterfaceName
  ) throws(CNIError) {
    do throws(NetlinkError) {
      // Looked at twice: a network that is in use must not wait for the lock.
      if try isUsed(bridge, by: network) { return }
    } catch {
      throw CNIError(error)
    }
    let lock = try NodeLock(.exclusive)
    do throws(NetlinkError) {
      if try !isUsed(bridge, by: network) {
        try Masquerade.remove(network: network, NetfilterSocket())
      }
    } catch {
      throw CNIError(error)
    }
    lock.unlock()
  }

  private borrowing func isUsed(
    _ bridge: InterfaceName, by network: NetworkName
  ) throws(NetlinkError) -> Bool {
    guard let link = try socket.link(named: bridge) else { return false }
    return try socket.isUsed(bridge: link.index, by: network)
  }
}
