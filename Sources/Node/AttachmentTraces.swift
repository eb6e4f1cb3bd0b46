// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netfilter
import Netlink

/// What the node's kernel still knows of an attachment: neighbour entries and tracked connections. They
/// must go before its addresses get a new owner.
public struct AttachmentTraces {
  public let host: HostInterface
  private let macs: [MACAddress]
  private let addresses: [IPAddress]

  /// For DEL: the addresses from prevResult or else from the namespace. Without both there is the MAC
  /// address, which is derived from the attachment's name.
  /// - Parameter mac: of the pod's interface, where the configuration asks for one.
  public init(
    of attachment: Attachment, on network: NetworkName, _ result: CNIResult?, sandbox: String?,
    mac: MACAddress? = nil
  ) {
    host = HostInterface(of: attachment, on: network)
    var macs = [mac ?? host.podMAC]
    var addresses: [IPAddress] = []
    if let result {
      let sandbox = result.sandbox(of: attachment.interface) ?? ""
      macs += [result.interface(attachment.interface, sandbox: sandbox)?.interface.mac]
        .compactMap { $0 }
      addresses = result.ips(of: attachment.interface, sandbox: sandbox).map { $0.address.address }
    }
    if addresses.isEmpty {
      addresses = (try? Pod.ifPresent(sandbox)?.addresses(of: attachment.interface)) ?? []
    }
    self.addresses = addresses
    self.macs = macs
  }

  /// For GC, which knows the attachment's name alone.
  public init(of attachment: Attachment, on network: NetworkName) {
    host = HostInterface(of: attachment, on: network)
    macs = [host.podMAC]
    addresses = []
  }

  /// Whether a neighbour entry is the attachment's.
  public func owns(_ neighbour: Neighbour) -> Bool {
    !neighbour.isPermanent
      && (addresses.contains(neighbour.address)
        || neighbour.mac.map { macs.contains($0) } ?? false)
  }

  /// The attachment's addresses, with those of its neighbour entries.
  fileprivate func addresses(with neighbours: [Neighbour]) -> [IPAddress] {
    addresses + neighbours.map { $0.address }.filter { !addresses.contains($0) }
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
    if connections { try Node.forgetConnections(of: traces, among: neighbours) }
  }

  /// Deletes the tracked connections of attachments.
  public static func forgetConnections(
    of traces: [AttachmentTraces], among neighbours: [Neighbour]
  ) throws(CNIError) {
    var addresses: [IPAddress] = []
    for trace in traces {
      addresses += trace.addresses(with: neighbours.filter { trace.owns($0) })
    }
    try kernelSteps { () throws(NetlinkError) in try ConnectionTracking.forget(addresses) }
  }

  /// Deletes neighbour entries; a missing one is not an error.
  public borrowing func forget(_ neighbours: [Neighbour]) throws(CNIError) {
    try kernel.performIfPresent(
      neighbours.map { .deleteNeighbour($0.address, index: $0.index) })
  }
}

extension CNIResult {
  /// The namespace an interface was made in, which a DEL may come without.
  fileprivate func sandbox(of name: InterfaceName) -> String? {
    interfaces.first { $0.name == name.description && $0.sandbox != nil }?.sandbox
  }
}

extension Pod {
  /// The addresses of an interface; none where it is gone.
  fileprivate borrowing func addresses(of interface: InterfaceName) -> [IPAddress] {
    guard let link = try? kernel.link(interface),
      let addresses = try? kernel.addresses(of: link.index)
    else { return [] }
    return addresses.map { $0.prefix.address }
  }
}
