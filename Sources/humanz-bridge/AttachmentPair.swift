// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink
import Node

/// The veth pair of an attachment: the pod's interface, and the node's end, a port of the bridge.
struct AttachmentPair {
  let host: HostInterface
  let interface: InterfaceName
  private let configuration: BridgeConfiguration

  init(_ attachment: Attachment, _ network: NetworkName, _ configuration: BridgeConfiguration) {
    host = HostInterface(of: attachment, on: network)
    interface = attachment.interface
    self.configuration = configuration
  }

  /// The MAC address of the pod's end.
  private var podMAC: MACAddress { configuration.mac ?? host.podMAC }

  // MARK: - ADD

  /// Makes the pair. The node's end is a port of the bridge, up, with the attachment's name and alias; the
  /// pod's end is in the namespace, down.
  /// - Returns: the pod's end.
  /// - Throws: error 101 if the node has a link of that name.
  func make(
    on bridge: Bridge, in pod: borrowing Pod, _ node: borrowing Node, undo: inout Undo
  ) throws(CNIError) -> Link {
    let pair = VethPair(
      name: host.name, mac: host.mac, mtu: configuration.mtu ?? bridge.link.mtu,
      queues: configuration.queues, master: bridge.link.index,
      peerName: interface, peerMAC: podMAC,
      peerNamespace: pod.namespace.fileDescriptor)
    undo.push(.call { [self] node, pod in remove(node, pod) })
    // The kernel disables IPv6 on a link whose MTU is below 1,280 (RFC 8200 section 5).
    let hasIPv6 = Node.hasIPv6 && pair.mtu ?? bridge.link.mtu >= 1280
    // In one datagram: a process that is killed leaves no link without an alias.
    let failures = try node.kernel.failures(
      performing: [
        .addVethPair(pair),
        .changeLink(
          .name(host.name),
          LinkChange(up: true, alias: host.alias, withoutLinkLocal: hasIPv6)),
      ] + configuration.port.requests(.name(host.name)))
    if let failure = failures.first {
      if failure.index == 0, failure.error.exists { try refuseExisting(on: node) }
      throw CNIError(failure.error)
    }
    if let vlans = configuration.port.vlans, let port = try node.kernel.link(host.name) {
      try node.kernel.perform(vlans.requests(port: port.index))
    }
    return try pod.interface(interface)
  }

  /// Removes the pair of a failed ADD. Looks for the pod's end: the node's end may be from an earlier ADD. An
  /// interface with another MAC address is somebody else's, made during this ADD.
  private func remove(_ node: borrowing Kernel, _ pod: borrowing Kernel) {
    guard let podEnd = try? pod.link(interface), podEnd.mac == podMAC else { return }
    if let nodeEnd = try? node.link(host.name), nodeEnd.alias == host.alias,
      nodeEnd.peerIndex == podEnd.index
    {
      try? LinkDeletion(of: nodeEnd, in: node, waits: configuration.waitForDelete).wait(node)
    } else {
      _ = try? pod.failures(performing: [.deleteLink(.index(podEnd.index))])
    }
  }

  /// Refuses an ADD whose pair exists: no DEL followed the attachment's last ADD, and the addresses are in
  /// use.
  /// - Throws: error 101.
  func refuseExisting(on node: borrowing Node) throws(CNIError) {
    guard let link = try node.kernel.link(host.name) else { return }
    throw CNIError(
      .exists, "the node already has the link \(host.name), the attachment's end on the bridge",
      details: link.alias.map { "its alias is \($0): call DEL for that attachment first" }
        ?? "it has no alias: `ip link delete \(host.name)` deletes it")
  }

  // MARK: - CHECK

  /// CHECK of the pod's interface: it is up, unless `disableContainerInterface` is set, and has the MAC address
  /// of the result.
  /// - Throws: error 102, or 3 if the interface is missing.
  func verifyPodEnd(in pod: borrowing Pod, _ result: CNIResult?) throws(CNIError) -> Link {
    let link = try pod.interface(interface)
    guard link.isUp || configuration.disableContainerInterface else {
      throw CNIError(.checkFailed, "the interface \(link.name) in \(pod.path) is down")
    }
    if let mac = result?.interface(interface, sandbox: pod.path)?.interface.mac, mac != link.mac {
      throw CNIError(
        .checkFailed, "the interface \(link.name) in \(pod.path) has another MAC address",
        details: "it is \(link.mac.map { $0.description } ?? "none"), not \(mac)")
    }
    return link
  }

  /// CHECK of the node's end: it is up, a port of the bridge with the settings of the keys, and the peer of the
  /// pod's interface.
  /// - Throws: error 102.
  func verifyNodeEnd(
    of podEnd: Link, on bridge: Bridge, _ node: borrowing Node
  ) throws(CNIError) {
    guard let port = try node.kernel.link(host.name) else {
      throw CNIError(.checkFailed, "the link \(host.name), the node's end of the pair, is missing")
    }
    guard port.alias == host.alias else {
      throw CNIError(
        .checkFailed, "the link \(host.name) does not have this attachment's alias",
        details: "its alias is \(port.alias ?? "none"), not \(host.alias)")
    }
    guard port.isUp else { throw CNIError(.checkFailed, "the link \(host.name) is down") }
    guard port.master == bridge.link.index else {
      throw CNIError(
        .checkFailed, "the link \(host.name) is not a port of the bridge \(bridge.link.name)")
    }
    guard port.peerIndex == podEnd.index else {
      throw CNIError(
        .checkFailed, "the link \(host.name) is not the other end of \(podEnd.name)")
    }
    try configuration.port.verify(port, on: node)
  }

  // MARK: - DEL and GC

  /// Starts the deletion of a pair by its node's end, as `LinkDeletion` does.
  static func startDeletion(
    of nodeEnd: Link?, in kernel: borrowing Kernel, waits: Bool
  ) -> LinkDeletion {
    guard let nodeEnd else { return LinkDeletion() }
    return LinkDeletion(of: nodeEnd, in: kernel, waits: waits)
  }

  /// The node's end of a pair, found by the pod's: a link of ours that somebody renamed, or a port of the
  /// configured bridge that the reference `bridge` made. nil if the interface or the namespace is missing.
  static func found(
    by attachment: Attachment, _ host: HostInterface, namespace: String?, bridge: InterfaceName,
    on node: borrowing Node
  ) throws(CNIError) -> Link? {
    guard let pod = try Pod.ifPresent(namespace),
      let podEnd = try pod.kernel.link(attachment.interface),
      let port = try pod.port(of: podEnd, attachment, on: node)
    else { return nil }
    if port.alias != nil { return port.alias == host.alias ? port : nil }
    guard let master = port.master, try node.kernel.link(at: master)?.name == bridge else {
      return nil
    }
    return port
  }

  /// The network's pairs whose attachments are not valid any more.
  static func stale(
    among links: [Link], of network: NetworkName, keeping valid: [Attachment]
  ) -> [(link: Link, attachment: Attachment)] {
    let kept = valid.map { HostInterface(of: $0, on: network).alias }.sortedByBytes()
    return links.compactMap { link in
      guard let alias = link.alias, !kept.containsSorted(alias),
        let attachment = HostInterface.attachment(alias: alias, on: network)
      else { return nil }
      return (link, attachment)
    }
  }
}
