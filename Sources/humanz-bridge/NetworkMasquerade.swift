import Addresses
import CNI
import Netfilter
import Netlink
import Node

/// The masquerade of a network, which all of its attachments share.
extension Node {
  /// Masquerades traffic leaving these subnets. Nothing is sent where that is done already.
  borrowing func masquerade(
    _ subnets: [IPPrefix], of network: NetworkName, undo: inout Undo
  ) throws(CNIError) {
    let masquerade = Masquerade(network: network.description, inside: subnets, except: subnets)
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      if try masquerade.isInstalled(socket) { return }
      undo.push(.masquerade(network))
      try masquerade.install(socket)
    }
  }

  /// Removes the masquerade of a network without attachments.
  borrowing func endMasquerade(ofUnused network: NetworkName) throws(CNIError) {
    // Looked at twice: a network in use must not wait for the lock.
    if try kernel.hasAttachments(to: network) { return }
    let lock = try NodeLock(.exclusive)
    if try !kernel.hasAttachments(to: network) {
      try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
        try Masquerade.remove(network: network.description, socket)
      }
    }
    lock.unlock()
  }
}
