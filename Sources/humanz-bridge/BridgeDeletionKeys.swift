// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink
import Node

/// The part of the configuration that DEL and GC need. A key that cannot be read counts as absent, since a
/// mistake in the configuration must not keep a pod from being deleted.
struct BridgeDeletionKeys {
  /// The links with the pods' neighbour entries: the bridge, and its link in the pods' VLAN.
  let links: [InterfaceName]
  /// The requested MAC address of the pod; nil for none.
  let mac: MACAddress?
  /// Whether the pod's source MAC address is checked.
  let macspoofchk: Bool
  /// Whether the network is masqueraded.
  let ipMasq: Bool
  /// Whether the plugin's own process deletes links and waits for the kernel's answer. See `LinkDeletion`.
  let waitForDelete: Bool
  /// The IPAM plugin; nil if the configuration names none.
  let ipam: IPAMDelegate?
  /// The leases of the network.
  let leases: LeaseFolder

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
    leases = LeaseFolder(invocation.configuration)
  }

  var bridge: InterfaceName { links[0] }
}
