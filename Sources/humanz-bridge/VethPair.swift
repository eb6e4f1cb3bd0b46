import CNI
import Netlink
import Stage

/// Both ends of an attachment's veth pair, as the kernel has them.
struct Pair {
  let host: Link
  let pod: Link
}

extension Node {
  /// Makes the pair: the node's end a port of the bridge, named and aliased after the attachment,
  /// and the pod's end inside the namespace; both up.
  borrowing func makePair(
    for attachment: Attachment, on network: NetworkName, bridge: Link,
    _ configuration: BridgeConfiguration, pod: borrowing Pod, undo: inout Undo
  ) throws(CNIError) -> Pair {
    let host = HostInterface(of: attachment, on: network)
    let pair = VethPair(
      name: host.name, mac: host.mac, mtu: configuration.mtu ?? bridge.mtu, master: bridge.index,
      peerName: attachment.interface, peerMAC: host.podMAC,
      peerNamespace: pod.namespace.fileDescriptor)
    try perform([.addVethPair(pair)])
    undo.push { (node, _) in try? node.perform(.deleteLink(.name(host.name))) }
    try perform([
      .changeLink(
        .name(host.name), LinkChange(up: true, alias: host.alias, withoutLinkLocal: Node.hasIPv6))
    ])
    try pod.bringUp(attachment.interface)
    guard let link = try link(host.name) else {
      throw CNIError(.kernel, "the link \(host.name) went away as it was made")
    }
    return Pair(host: link, pod: try pod.interface(attachment.interface))
  }
}

extension CNIResult {
  /// Appends the bridge and both ends of the pair.
  /// - Returns: the index of the pod's end.
  mutating func append(
    bridge: Link, pair: Pair, sandbox: String, version: ProtocolVersion
  ) -> Int {
    for (link, sandbox) in [(bridge, nil), (pair.host, nil), (pair.pod, sandbox)] {
      interfaces.append(
        ResultInterface(
          name: link.name, mac: link.mac, mtu: version >= .v110 ? link.mtu : nil,
          sandbox: sandbox))
    }
    return interfaces.count - 1
  }
}
