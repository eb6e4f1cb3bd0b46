// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netfilter
import Netlink

/// What the node's kernel still knows of an attachment: neighbour entries and tracked connections. They
/// are deleted, so that a new owner of its addresses does not meet them.
public struct AttachmentTraces {
  /// The node's end of the attachment's pair, which may be gone.
  public let host: HostInterface
  private let attachment: Attachment
  private let network: NetworkName
  private let macs: [MACAddress]
  /// The addresses in prevResult, or else those that the network leases to the attachment.
  fileprivate var addresses: [IPAddress]
  /// The addresses of the pod's interface, if prevResult has none. The pod can set any address on it.
  private let claimed: [IPAddress]

  /// For DEL: the addresses from prevResult. Without it, see `findLeased`.
  /// - Parameters:
  ///   - result: prevResult; nil if there is none.
  ///   - sandbox: CNI_NETNS; nil if the runtime gave none. If prevResult has no addresses, those of the pod's
  ///     interface in this namespace are looked at.
  ///   - mac: of the pod's interface, if the configuration asks for one.
  public init(
    of attachment: Attachment, on network: NetworkName, _ result: CNIResult?, sandbox: String?,
    mac: MACAddress? = nil
  ) {
    self.attachment = attachment
    self.network = network
    host = HostInterface(of: attachment, on: network)
    var macs = [mac ?? host.podMAC]
    var addresses: [IPAddress] = []
    if let result {
      let sandbox = result.sandbox(of: attachment.interface) ?? ""
      macs += [result.interface(attachment.interface, sandbox: sandbox)?.interface.mac]
        .compactMap { $0 }
      addresses = result.ips(of: attachment.interface, sandbox: sandbox).map { $0.address.address }
    }
    claimed =
      addresses.isEmpty
      ? (try? Pod.ifPresent(sandbox)?.addresses(of: attachment.interface)) ?? [] : []
    self.addresses = addresses
    self.macs = macs
  }

  /// For GC, which knows only the attachment's name.
  public init(of attachment: Attachment, on network: NetworkName) {
    self.init(of: attachment, on: network, nil, sandbox: nil)
  }

  /// Whether a neighbour entry is the attachment's.
  public func owns(_ neighbour: Neighbour) -> Bool {
    !neighbour.isPermanent
      && (addresses.contains(neighbour.address) || claimed.contains(neighbour.address)
        || neighbour.mac.map { macs.contains($0) } ?? false)
  }

  /// Finds the addresses without prevResult, before the leases are freed: those of the namespace, and those
  /// that the node has seen with the pod's MAC address, which is derived from the attachment's name. Only
  /// those count that the network leases to the attachment.
  /// - Parameter neighbours: the node's neighbour entries.
  public mutating func findLeased(_ leases: LeaseFolder, among neighbours: [Neighbour]) {
    guard addresses.isEmpty else { return }
    for address in claimed + neighbours.filter({ owns($0) }).map({ $0.address })
    where !addresses.contains(address) && leases.leases(address, to: attachment, on: network) {
      addresses.append(address)
    }
  }
}

extension Node {
  /// Deletes the neighbour entries of attachments and, with `connections`, their tracked connections. On old
  /// kernels the latter walks the node's whole table.
  /// - Parameter neighbours: the node's neighbour entries.
  public borrowing func forget(
    _ traces: [AttachmentTraces], among neighbours: [Neighbour], connections: Bool = true
  ) throws(CNIError) {
    try forget(neighbours.filter { neighbour in traces.contains { $0.owns(neighbour) } })
    if connections { try Node.forgetConnections(of: traces) }
  }

  /// Deletes the tracked connections of attachments.
  public static func forgetConnections(of traces: [AttachmentTraces]) throws(CNIError) {
    let addresses = traces.flatMap { $0.addresses }
    try kernelSteps { () throws(NetlinkError) in try ConnectionTracking.forget(addresses) }
  }

  /// Deletes neighbour entries; a missing one is not an error.
  public borrowing func forget(_ neighbours: [Neighbour]) throws(CNIError) {
    try kernel.performIfPresent(
      neighbours.map { .deleteNeighbour($0.address, index: $0.index) })
  }
}

extension CNIResult {
  /// The namespace the interface was made in. A DEL may have no CNI_NETNS.
  fileprivate func sandbox(of name: InterfaceName) -> String? {
    interfaces.first { $0.name == name.description && $0.sandbox != nil }?.sandbox
  }
}

extension Pod {
  /// The addresses of an interface; none if it is gone.
  fileprivate borrowing func addresses(of interface: InterfaceName) -> [IPAddress] {
    guard let link = try? kernel.link(interface),
      let addresses = try? kernel.addresses(of: link.index)
    else { return [] }
    return addresses.map { $0.prefix.address }
  }
}
