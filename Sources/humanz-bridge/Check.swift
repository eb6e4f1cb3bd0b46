import Addresses
import CNI
import Embedded
import Netfilter
import Netlink
import Node

/// CHECK: what must be there, each named where it is not. What later plugins added does no harm.
extension Node {
  borrowing func checkBridge(_ configuration: BridgeConfiguration) throws(CNIError) -> Link {
    guard let bridge = try kernel.link(configuration.bridge) else {
      throw CNIError(.checkFailed, "the bridge \(configuration.bridge) is missing")
    }
    guard bridge.kind == "bridge" else {
      throw CNIError(.checkFailed, "the link \(bridge.name) is no bridge")
    }
    guard bridge.isUp else { throw CNIError(.checkFailed, "the bridge \(bridge.name) is down") }
    guard bridge.isPromiscuous || !configuration.promiscMode else {
      throw CNIError(.checkFailed, "the bridge \(bridge.name) is not promiscuous")
    }
    return bridge
  }

  /// The node's end of the pair: there, up, a port of the bridge, and the pod's interface's peer.
  borrowing func checkPort(
    _ host: HostInterface, of bridge: Link, peer interface: Link
  ) throws(CNIError) -> Link {
    guard let port = try kernel.link(host.name) else {
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
    return port
  }

  /// What the keys asked of the port.
  borrowing func checkSettings(
    of port: Link, _ configuration: BridgeConfiguration
  ) throws(CNIError) {
    for (key, asked, found) in [
      ("hairpinMode", configuration.hairpinMode, port.port?.hairpin),
      ("portIsolation", configuration.portIsolation, port.port?.isolated),
    ] where asked && found != true {
      throw CNIError(
        .checkFailed, "the link \(port.name) is not set as the key \"\(key)\" asks")
    }
    guard let vlans = configuration.vlans else { return }
    let present = try kernel.bridgeVLANs(of: port.index)
    if let missing = vlans.missing(in: present) {
      throw CNIError(.checkFailed, "the link \(port.name) is not in VLAN \(missing)")
    }
  }

  /// What the network's pods share: the gateway's addresses, forwarding and the masquerade.
  borrowing func checkShared(
    _ bridge: Link, _ configuration: BridgeConfiguration, _ ips: [ResultIP], _ network: NetworkName
  ) throws(CNIError) {
    if configuration.addressing.isGateway { try checkGateways(of: ips, bridge, configuration) }
    if configuration.addressing.ipMasq {
      try checkMasquerade(of: network, Addressing.subnets(of: ips))
    }
  }

  private borrowing func checkGateways(
    of ips: [ResultIP], _ bridge: Link, _ configuration: BridgeConfiguration
  ) throws(CNIError) {
    var name = bridge.name
    if let vlan = configuration.vlans?.access {
      name = try BridgeConfiguration.gatewayName(bridge.name, vlan: vlan)
    }
    guard let link = try kernel.link(name) else {
      throw CNIError(.checkFailed, "the link \(name), the gateway of the VLAN, is missing")
    }
    try check(Gateway.all(of: ips), on: link)
    for family in Gateway.families(of: ips) where !Forwarding.isOn(family) {
      throw CNIError(.checkFailed, "forwarding of IPv\(family.version) is off")
    }
  }

  private borrowing func checkMasquerade(
    of network: NetworkName, _ subnets: [IPPrefix]
  ) throws(CNIError) {
    var isInstalled = false
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      isInstalled = try Masquerade(
        network: network.description, inside: subnets, except: subnets
      ).isInstalled(socket)
    }
    guard isInstalled else {
      throw CNIError(.checkFailed, "the masquerade of the network \(network) is missing or changed")
    }
  }
}

extension Pod {
  /// The pod's interface: there, up, and with the MAC address of the result.
  borrowing func checkInterface(
    _ attachment: Attachment, _ result: CNIResult?, _ configuration: BridgeConfiguration
  ) throws(CNIError) -> Link {
    let link = try interface(attachment.interface)
    guard link.isUp || configuration.disableContainerInterface else {
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

extension Link {
  /// Whether the pod is held to its MAC address.
  func verifySourceCheck(of host: HostInterface) throws(CNIError) {
    guard let mac else { return }
    var isInstalled = false
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      isInstalled = try host.sourceCheck(of: mac).isInstalled(socket)
    }
    guard isInstalled else {
      throw CNIError(
        .checkFailed, "the check of the MAC address behind \(host.name) is missing or changed")
    }
  }
}
