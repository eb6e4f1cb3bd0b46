import Addresses
import CNI
import CNetlink
import Embedded
import Netlink
import Node
import System

/// STATUS: whether the next ADD can have what it needs on the node.
extension Node {
  /// An ADD makes the bridge if need be, but cannot make one of another kind of link.
  borrowing func checkBridgeCanServe(_ configuration: BridgeConfiguration) throws(CNIError) {
    let link = try kernel.link(configuration.bridge)
    if let link, link.kind != "bridge" {
      throw CNIError(.notAvailable, "key \"bridge\": the node's link \(link.name) is no bridge")
    }
    if configuration.vlans == nil || link?.filtersVLANs != nil { return }
    if link == nil, try canFilterVLANs(configuration.bridge) { return }
    throw CNIError(
      .notAvailable, "keys \"vlan\" and \"vlanTrunk\" need VLAN filtering, which the kernel lacks")
  }
}

/// Whether the kernel can keep VLANs apart, tried on a bridge that nobody sees.
private func canFilterVLANs(_ bridge: InterfaceName) throws(CNIError) -> Bool {
  do throws(NetlinkError) {
    try NetworkNamespace.runInNew { () throws(NetlinkError) in
      try RouteSocket().perform([.addBridge(bridge), .filterVLANs(bridge: .name(bridge))])
    }
    return true
  } catch {
    if error.errno == .notSupported { return false }
    throw CNIError(error)
  }
}
