// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink
import Node

/// What DEL and GC need of the configuration. A key that cannot be read counts as absent: a mistake in
/// the configuration must not keep a pod from being deleted.
struct BridgeReferences {
  /// The links on which the node has the pods' neighbour entries: the bridge, and its link in their VLAN.
  let links: [InterfaceName]
  /// The pod's MAC address where one is requested.
  let mac: MACAddress?
  /// Whether the pod's source MAC address is checked.
  let macspoofchk: Bool
  /// Whether the network is masqueraded.
  let ipMasq: Bool
  /// Whether DEL itself waits for the end of the deletion. See `LinkDeletion`.
  let waitForDelete: Bool
  /// The IPAM plugin; nil where the configuration names none.
  let ipam: IPAMDelegate?

  init(_ invocation: Invocation) {
    let keys = invocation.configuration.keys
    let bridge = (try? BridgeConfiguration.bridgeName(keys)) ?? BridgeConfiguration.defaultBridge
    var links = [bridge]
    if let vlan = (try? PortVLANs(keys))?.access,
      let link = try? GatewayLink.name(on: bridge, vlan: vlan)
    {
      links.append(link)
    }
    self.links = links
    mac = try? MACAddress.requested(by: invocation)
    macspoofchk = (try? keys.bool("macspoofchk")) ?? false
    ipMasq = (try? keys.bool("ipMasq")) ?? false
    waitForDelete = (try? keys.bool("waitForDelete")) ?? false
    ipam = try? IPAMDelegate(invocation)
  }

  var bridge: InterfaceName { links[0] }
}
