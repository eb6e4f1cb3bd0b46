import CNI
import Netlink
import Stage

/// STATUS: whether the next ADD can have what it needs on the node.
extension Node {
  /// An ADD makes the bridge if need be, but cannot make one of another kind of link.
  borrowing func checkBridgeCanServe(_ configuration: BridgeConfiguration) throws(CNIError) {
    guard let link = try link(configuration.bridge) else { return }
    guard link.kind == "bridge" else {
      throw CNIError(.notAvailable, "key \"bridge\": the node's link \(link.name) is no bridge")
    }
    guard configuration.vlans == nil || link.filtersVLANs != nil else {
      throw CNIError(
        .notAvailable, "keys \"vlan\" and \"vlanTrunk\" need VLAN filtering, which the kernel lacks"
      )
    }
  }
}
