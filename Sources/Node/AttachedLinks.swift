// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink

extension Kernel {
  /// Whether any attachment to a network has its host interface here.
  /// - Parameter bridge: counts only the ports of this bridge.
  public borrowing func hasAttachments(
    to network: NetworkName, bridge: LinkIndex? = nil
  ) throws(CNIError) -> Bool {
    try links(master: bridge).contains { link in
      link.alias.map { HostInterface.attachment(alias: $0, on: network) != nil } ?? false
    }
  }
}

extension Node {
  /// The node's end of an attachment's pair; nil where it is missing, or where the link of its name is
  /// another attachment's.
  public borrowing func port(_ host: HostInterface) throws(CNIError) -> Link? {
    guard let link = try kernel.link(host.name), link.alias == nil || link.alias == host.alias
    else { return nil }
    return link
  }

  /// Whether there is a link of a name.
  public borrowing func hasLink(_ name: InterfaceName) throws(CNIError) -> Bool {
    try kernel.link(name) != nil
  }
}
