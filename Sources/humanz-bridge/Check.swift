import CNI
import Netlink
import Stage

/// CHECK and STATUS: what must be there, each named where it is not.
extension Node {
  borrowing func checkBridge(_ configuration: BridgeConfiguration) throws(CNIError) -> Link {
    guard let bridge = try link(configuration.bridge) else {
      throw CNIError(.checkFailed, "the bridge \(configuration.bridge) is missing")
    }
    guard bridge.kind == "bridge" else {
      throw CNIError(.checkFailed, "the link \(bridge.name) is no bridge")
    }
    guard bridge.isUp else { throw CNIError(.checkFailed, "the bridge \(bridge.name) is down") }
    return bridge
  }

  /// The node's end of the pair: there, up, a port of the bridge, and the pod's interface's peer.
  borrowing func checkPort(
    _ host: HostInterface, of bridge: Link, peer interface: Link
  ) throws(CNIError) {
    guard let port = try link(host.name) else {
      throw CNIError(.checkFailed, "the link \(host.name), the node's end of the pair, is missing")
    }
    guard port.alias == host.alias else {
      throw CNIError(
        .checkFailed, "the link \(host.name) is another attachment's",
        details: "its alias is \(port.alias ?? "none"), not \(host.alias)")
    }
    guard port.isUp else { throw CNIError(.checkFailed, "the link \(host.name) is down") }
    guard port.master == bridge.index else {
      throw CNIError(.checkFailed, "the link \(host.name) is no port of the bridge \(bridge.name)")
    }
    guard port.peerIndex == interface.index else {
      throw CNIError(
        .checkFailed, "the link \(host.name) is not the other end of \(interface.name)")
    }
  }

  borrowing func checkGateways(
    on bridge: Link, _ configuration: BridgeConfiguration, _ result: CNIResult
  ) throws(CNIError) {
    guard configuration.isGateway else { return }
    try check(Gateway.all(of: result.ips), on: bridge)
  }

  /// STATUS: an ADD makes the bridge if need be, but cannot make one of another kind of link.
  borrowing func checkBridgeCanServe(_ configuration: BridgeConfiguration) throws(CNIError) {
    guard let link = try link(configuration.bridge), link.kind != "bridge" else { return }
    throw CNIError(.notAvailable, "key \"bridge\": the node's link \(link.name) is no bridge")
  }
}

extension Pod {
  /// The pod's interface: there, up, and with the MAC address of the result.
  borrowing func checkInterface(
    _ attachment: Attachment, _ result: CNIResult?
  ) throws(CNIError) -> Link {
    let link = try interface(attachment.interface)
    guard link.isUp else {
      throw CNIError(.checkFailed, "the interface \(link.name) in \(path) is down")
    }
    if let mac = result?.interface(attachment.interface, sandbox: path)?.interface.mac,
      mac != link.mac
    {
      throw CNIError(
        .checkFailed, "the interface \(link.name) in \(path) has another MAC address",
        details: "it is \(link.mac.map { $0.description } ?? "none"), not \(mac)")
    }
    return link
  }
}
