import CNI
import Embedded
import Netlink
import Node

/// The links of an attachment, as the kernel has them.
struct AttachmentLinks {
  let bridge: Link
  /// The pod's end of the pair.
  let pod: Link
  /// The node's end of the pair, a port of the bridge.
  let host: HostInterface
}

extension Node {
  /// Makes the pair: the node's end an upped port of the bridge, named and aliased after the
  /// attachment, and the pod's end inside the namespace, down.
  /// - Throws: error 101 where the node has a link of that name.
  borrowing func makePair(
    for attachment: Attachment, on network: NetworkName, bridge: Link,
    _ configuration: BridgeConfiguration, pod: borrowing Pod, undo: inout Undo
  ) throws(CNIError) -> AttachmentLinks {
    let host = HostInterface(of: attachment, on: network)
    let pair = VethPair(
      name: host.name, mac: host.mac, mtu: configuration.mtu ?? bridge.mtu, master: bridge.index,
      peerName: attachment.interface, peerMAC: configuration.mac ?? host.podMAC,
      peerNamespace: pod.namespace.fileDescriptor)
    // By the pod's end, which was not there before: the node's may be an earlier ADD's.
    undo.push(.pod([.deleteLink(.name(attachment.interface))]))
    // The kernel keeps IPv6 off a link that is too narrow for it (RFC 8200 section 5).
    let hasIPv6 = Node.hasIPv6 && pair.mtu ?? bridge.mtu >= 1280
    // In one datagram: nobody ever finds the link without its alias, even after a `kill -9`.
    let failures = try kernel.failures(
      performing: [
        .addVethPair(pair),
        .changeLink(
          .name(host.name),
          LinkChange(up: true, alias: host.alias, withoutLinkLocal: hasIPv6)),
      ] + configuration.portSettings(.name(host.name)))
    if let failure = failures.first, failure.index == 0 {
      if failure.error.exists { try refuse(existing: host) }
      throw CNIError(failure.error)
    }
    if let failure = failures.first { throw CNIError(failure.error) }
    if let vlans = configuration.vlans, let port = try kernel.link(host.name) {
      try kernel.perform(vlans.requests(port: port.index))
    }
    return AttachmentLinks(
      bridge: bridge, pod: try pod.interface(attachment.interface), host: host)
  }

  /// Refuses an ADD whose pair is there: the attachment's last ADD was not followed by its DEL, and
  /// the addresses are in use.
  /// - Throws: error 101.
  borrowing func refuse(existing host: HostInterface) throws(CNIError) {
    guard let link = try kernel.link(host.name) else { return }
    throw CNIError(
      .exists, "the node already has the link \(host.name), the attachment's end on the bridge",
      details: link.alias.map { "its alias is \($0)" } ?? "it has no alias")
  }
}

extension CNIResult {
  /// Appends the bridge and both ends of the pair.
  /// - Returns: the index of the pod's end.
  mutating func append(
    _ links: AttachmentLinks, sandbox: String, version: ProtocolVersion
  ) -> Int {
    // The ends of a pair are made with one MTU.
    let (bridge, host, pod) = (links.bridge, links.host, links.pod)
    for (name, mac, mtu, sandbox) in [
      (bridge.name, bridge.mac, bridge.mtu, nil), (host.name, host.mac, pod.mtu, nil),
      (pod.name, pod.mac, pod.mtu, sandbox),
    ] {
      interfaces.append(
        ResultInterface(
          name: name, mac: mac, mtu: version >= .v110 ? mtu : nil, sandbox: sandbox))
    }
    return interfaces.count - 1
  }
}
