// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink

/// What the earlier stages of the chain made. Read from prevResult, or else from the kernel: before 0.3.0 a
/// result has no interfaces.
public struct EarlierStage {
  /// The pod's interface.
  public let interface: Link
  /// Its index in prevResult's `interfaces`; nil if it is not listed there.
  public let index: Int?
  /// The node's end of its pair; nil for an interface without a pair, or with its other end elsewhere.
  public let port: Link?
  /// The bridge its pair leads to; nil for an interface without a bridge, such as a macvlan's.
  public let bridge: Link?

  /// Reads them from prevResult and the kernel.
  /// - Parameter result: prevResult.
  /// - Throws: error 3 if the pod has no interface of that name, 100 if the kernel refuses.
  public init(
    _ result: CNIResult, _ attachment: Attachment, pod: borrowing Pod, node: borrowing Node
  ) throws(CNIError) {
    interface = try pod.interface(attachment.interface)
    index = result.interface(attachment.interface, sandbox: pod.path)?.index
    port = try pod.port(of: interface, attachment, on: node)
    bridge = try EarlierStage.bridge(of: interface, port: port, result, on: node)
  }

  /// The port's master if it is a bridge; without a master the first bridge that the result lists.
  private static func bridge(
    of interface: Link, port: Link?, _ result: CNIResult, on node: borrowing Node
  ) throws(CNIError) -> Link? {
    guard interface.kind == "veth" else { return nil }
    if let master = port?.master {
      let link = try node.kernel.link(at: master)
      return link?.kind == "bridge" ? link : nil
    }
    for entry in result.interfaces where entry.sandbox == nil {
      guard let name = InterfaceName(entry.name), let link = try node.kernel.link(name)
      else { continue }
      if link.kind == "bridge" { return link }
    }
    return nil
  }

  /// The link for the pod's gateway, which is made if it is missing; nil for an interface on no bridge.
  /// - Throws: error 7 if its name is too long, 101 if another kind of link has the name, 100 if the kernel
  ///   refuses.
  public func makeGatewayLink(
    for network: NetworkName, on node: borrowing Node, undo: inout Undo
  ) throws(CNIError) -> GatewayLink? {
    guard let bridge else { return nil }
    return try GatewayLink.make(
      on: bridge, vlan: try vlan(on: bridge, node), for: network, of: node, undo: &undo)
  }

  /// The link of the pod's gateway; nil for an interface on no bridge.
  /// - Throws: error 102 if it is missing, 101 if another kind of link has its name, 7 if the name is too
  ///   long.
  public func gatewayLink(on node: borrowing Node) throws(CNIError) -> GatewayLink? {
    guard let bridge else { return nil }
    let vlan = try vlan(on: bridge, node)
    if let link = try GatewayLink.find(on: bridge, vlan: vlan, of: node) { return link }
    throw CNIError(
      .checkFailed,
      "the gateway's link \(try GatewayLink.name(on: bridge.name, vlan: vlan)) is missing")
  }

  private func vlan(on bridge: Link, _ node: borrowing Node) throws(CNIError) -> UInt16? {
    guard let port else { return nil }
    return try GatewayLink.vlan(of: port, on: bridge, node)
  }
}

extension Pod {
  /// The node's end of an interface's pair: each end names the other by index and by namespace. The index
  /// alone is not enough: the peer may be in a third namespace, and another pod's port have its index.
  /// - Returns: nil if the interface is no veth link, or its peer is elsewhere.
  public borrowing func port(
    of interface: Link, _ attachment: Attachment, on node: borrowing Node
  ) throws(CNIError) -> Link? {
    guard interface.kind == "veth", let peer = interface.peerIndex,
      let port = try node.kernel.link(at: peer), port.peerIndex == interface.index
    else { return nil }
    if let owner = port.alias.flatMap({ HostInterface.owner(alias: $0) }) {
      return owner.attachment == attachment ? port : nil
    }
    guard let id = port.peerNamespaceID else { return namespace.isCurrent ? port : nil }
    return try node.kernel.id(of: namespace) == id ? port : nil
  }
}

extension CNIResult {
  /// Lists a gateway's link that is not the bridge, unless it is listed.
  /// - Parameter version: of the result: from 1.1.0 on an entry has the link's MTU.
  public mutating func list(_ gateway: GatewayLink, version: ProtocolVersion) {
    let link = gateway.link
    if link.index == gateway.bridge.index
      || interfaces.contains(where: { $0.sandbox == nil && $0.name == link.name.description })
    {
      return
    }
    interfaces.append(
      ResultInterface(name: link.name, mac: link.mac, mtu: version >= .v110 ? link.mtu : nil))
  }
}
