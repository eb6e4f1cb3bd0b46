import CNI
import Netlink
import Stage

/// The links of an attachment, as the kernel has them.
struct AttachmentLinks {
  let bridge: Link
  /// The node's end of the pair.
  let port: Link
  /// The pod's end of the pair.
  let pod: Link
  /// How the node's end is found again.
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
    // In one datagram: nobody ever finds the link without its alias, even after a `kill -9`.
    let failures: [Failure]
    do {
      failures = try socket.failures(performing: [
        .addVethPair(pair),
        .changeLink(
          .name(host.name), LinkChange(up: true, alias: host.alias, withoutLinkLocal: Node.hasIPv6)),
      ])
    } catch {
      throw CNIError(error)
    }
    if let failure = failures.first, failure.index == 0 {
      throw failure.error.exists ? try exists(host) : CNIError(failure.error)
    }
    undo.push { (node, _) in try? node.perform(.deleteLink(.name(host.name))) }
    if let failure = failures.first { throw CNIError(failure.error) }
    guard let port = try link(host.name) else {
      throw CNIError(.kernel, "the link \(host.name) went away as it was made")
    }
    return AttachmentLinks(
      bridge: bridge, port: port, pod: try pod.interface(attachment.interface), host: host)
  }

  /// The error that the pair is there: an ADD was not followed by its DEL.
  private borrowing func exists(_ host: HostInterface) throws(CNIError) -> CNIError {
    let alias = try link(host.name)?.alias
    return CNIError(
      .exists, "the node already has the link \(host.name), the attachment's end on the bridge",
      details: alias.map { "its alias is \($0)" } ?? "it has no alias")
  }
}

extension CNIResult {
  /// Appends the bridge and both ends of the pair.
  /// - Returns: the index of the pod's end.
  mutating func append(
    _ links: AttachmentLinks, sandbox: String, version: ProtocolVersion
  ) -> Int {
    for (link, sandbox) in [(links.bridge, nil), (links.port, nil), (links.pod, sandbox)] {
      interfaces.append(
        ResultInterface(
          name: link.name, mac: link.mac, mtu: version >= .v110 ? link.mtu : nil,
          sandbox: sandbox))
    }
    return interfaces.count - 1
  }
}
