// SPDX-License-Identifier: Apache-2.0
import CNI
import Netlink
import Node

/// The links that an ADD made or uses, for the result.
struct AttachmentLinks {
  let bridge: Bridge
  let host: HostInterface
  /// The pod's end of the pair.
  let podEnd: Link
  /// The link with the gateway's addresses; nil if the node is no gateway.
  let gateway: GatewayLink?
}

extension CNIResult {
  /// Appends the bridge, both ends of the pair, and the gateway's link if it is not the bridge.
  /// - Returns: the index of the pod's end.
  mutating func append(
    _ links: AttachmentLinks, sandbox: String, version: ProtocolVersion
  ) -> Int {
    let (bridge, host, podEnd) = (links.bridge.link, links.host, links.podEnd)
    // Both ends of a pair are made with the same MTU.
    for (name, mac, mtu, sandbox) in [
      (bridge.name, bridge.mac, bridge.mtu, nil), (host.name, host.mac, podEnd.mtu, nil),
      (podEnd.name, podEnd.mac, podEnd.mtu, sandbox),
    ] {
      interfaces.append(
        ResultInterface(
          name: name, mac: mac, mtu: version >= .v110 ? mtu : nil, sandbox: sandbox))
    }
    let index = interfaces.count - 1
    if let gateway = links.gateway { list(gateway, version: version) }
    return index
  }
}
