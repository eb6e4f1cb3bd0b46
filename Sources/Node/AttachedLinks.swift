// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink

extension Kernel {
  /// Whether any attachment to a network has its host interface here.
  /// - Parameters:
  ///   - bridge: counts only the ports of this bridge.
  ///   - others: links that do not count.
  public borrowing func hasAttachments(
    to network: NetworkName, bridge: LinkIndex? = nil, besides others: [Link] = []
  ) throws(CNIError) -> Bool {
    try links(master: bridge).contains { $0.isAttached(to: network, besides: others) }
  }
}

extension Link {
  /// Whether it is the host interface of an attachment to a network, and not one of the others.
  public func isAttached(to network: NetworkName, besides others: [Link]) -> Bool {
    guard let alias, HostInterface.attachment(alias: alias, on: network) != nil else {
      return false
    }
    return !others.contains { $0.index == index }
  }
}

extension Node {
  /// The node's end of an attachment's pair; nil if it is missing, or if the link of its name is another
  /// attachment's. A link of its name without any alias is returned too.
  public borrowing func port(_ host: HostInterface) throws(CNIError) -> Link? {
    guard let link = try kernel.link(host.name), link.alias == nil || link.alias == host.alias
    else { return nil }
    return link
  }

  /// Whether the node has a link of this name.
  public borrowing func hasLink(_ name: InterfaceName) throws(CNIError) -> Bool {
    try kernel.link(name) != nil
  }
}
