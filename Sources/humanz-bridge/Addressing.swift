import CNI
import Netlink
import Stage

/// What an IPAM delegate gave, made ready for the pod's interface and the bridge.
struct Addressing {
  private let ips: [ResultIP]
  private let routes: [ResultRoute]
  private let allocation: CNIResult
  private let configuration: BridgeConfiguration

  /// - Parameter interface: the index of the pod's interface in the result.
  init(
    _ allocation: CNIResult, _ configuration: BridgeConfiguration, interface: Int
  ) throws(CNIError) {
    self.allocation = allocation
    self.configuration = configuration
    ips = allocation.ips.map { ip in
      var ip = ip
      ip.interface = interface
      if configuration.isGateway { ip.gateway = ip.gateway ?? ip.address.first.advanced(by: 1) }
      return ip
    }
    var routes = allocation.routes
    if configuration.isDefaultGateway {
      for ip in ips
      where !routes.contains(where: { $0.destination == .everything(ip.address.family) }) {
        routes.append(ResultRoute(.everything(ip.address.family), gateway: ip.gateway))
      }
    }
    self.routes = routes
  }

  /// Puts addresses and routes on the pod's interface, and the gateways on the bridge.
  func apply(
    to interface: Link, of pod: borrowing Pod, bridge: Link, on node: borrowing Node,
    undo: inout Undo
  ) throws(CNIError) {
    if configuration.isGateway {
      try node.setGateways(Gateway.all(of: ips), on: bridge)
      for family in Gateway.families(of: ips) { try Forwarding.enable(family, on: node) }
    }
    try pod.configure(interface, addresses: ips, routes: routes)
  }

  /// Adds what was applied to the stage's result.
  func describe(in result: inout CNIResult) {
    result.ips += ips
    result.routes += routes
    result.dns = allocation.dns ?? result.dns
  }
}
