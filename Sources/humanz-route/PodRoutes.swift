import CNI
import Netlink
import Stage

/// The routes a pod is to have: the result's, the configuration's, and a default route for each
/// family whose address has a gateway.
struct PodRoutes {
  /// The addresses of the pod's interface.
  let addresses: [ResultIP]
  /// Those of the result, which an earlier plugin may have made already or left to us.
  let given: [ResultRoute]
  /// Those that are new to the result.
  let added: [ResultRoute]

  init(
    _ configuration: RouteConfiguration, _ result: CNIResult, on interface: InterfaceName,
    sandbox: String
  ) {
    let index = result.interface(interface, sandbox: sandbox)?.index
    addresses = result.ips.filter { $0.interface == nil || $0.interface == index }
    given = result.routes
    var added: [ResultRoute] = []
    for route in configuration.routes where !given.contains(where: { $0.isSame(as: route) }) {
      added.append(route)
    }
    if configuration.defaultRoute {
      for ip in addresses where ip.gateway != nil {
        let route = ResultRoute(.everything(ip.address.family), gateway: ip.gateway)
        if !(given + added).contains(where: { $0.isSame(as: route) }) { added.append(route) }
      }
    }
    self.added = added
  }

  var all: [ResultRoute] { given + added }
}

extension ResultRoute {
  /// Whether both are the same place in the kernel's tables: destination, table and priority.
  fileprivate func isSame(as other: ResultRoute) -> Bool {
    destination == other.destination && table == other.table && priority == other.priority
  }
}
