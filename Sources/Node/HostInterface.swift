// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink

/// The node's end of an attachment's veth pair, found by name and known by alias: neither DEL nor GC
/// needs the namespace or a result.
public struct HostInterface: Equatable {
  /// `veth` and 11 hexadecimal digits from a hash of container ID and interface name.
  public let name: InterfaceName
  /// `humanz:NETWORK:CONTAINER:INTERFACE`
  public let alias: String
  /// The MAC addresses of both ends derive from it, so the same attachment gets the same ones again.
  private let hash: UInt64

  /// The node's end for an attachment to a network. The kernel is not asked: the link may not exist.
  public init(of attachment: Attachment, on network: NetworkName) {
    var hash = fnv1a(Array("\(attachment.containerID):\(attachment.interface)".utf8))
    // FNV-1a alone gives similar high bits for similar input. The finalizer of MurmurHash3 mixes them.
    hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
    hash = (hash ^ hash >> 33) &* 0xc4ce_b9fe_1a85_ec53
    hash ^= hash >> 33
    self.hash = hash
    name = InterfaceName("veth" + String(hash >> 20, digits: 11, radix: 16))!
    alias =
      HostInterface.aliasPrefix(of: network)
      + "\(attachment.containerID):\(attachment.interface)"
  }

  /// What the aliases of all attachments to a network begin with.
  public static func aliasPrefix(of network: NetworkName) -> String { "humanz:\(network):" }

  /// The attachment that an alias names; nil if the alias is not one of ours, or names another network.
  public static func attachment(alias: String, on network: NetworkName) -> Attachment? {
    guard let owner = owner(alias: alias), owner.network == network else { return nil }
    return owner.attachment
  }

  /// The network and the attachment that an alias names; nil if it is not one of ours.
  public static func owner(
    alias: String
  ) -> (network: NetworkName, attachment: Attachment)? {
    let parts = alias.fields(separatedBy: ":")
    guard parts.count == 4, parts[0] == "humanz", let network = NetworkName(parts[1]),
      let containerID = ContainerID(parts[2]), let interface = InterfaceName(parts[3])
    else { return nil }
    return (network, Attachment(containerID: containerID, interface: interface))
  }

  /// The MAC address of the node's end.
  public var mac: MACAddress { .local(hash) }

  /// The MAC address of the pod's end if the configuration asks for none.
  public var podMAC: MACAddress { .local(~hash) }
}
