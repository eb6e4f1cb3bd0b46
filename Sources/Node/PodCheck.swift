// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink

extension CNIResult {
  /// The addresses of an interface in a namespace: those that name it, and those that name none.
  public func ips(of name: InterfaceName, sandbox: String) -> [ResultIP] {
    let index = interface(name, sandbox: sandbox)?.index
    return ips.filter { $0.interface == nil || $0.interface == index }
  }
}

extension Pod {
  /// CHECK of addresses: each of the result's that belongs to the interface exists. Addresses that
  /// others added are ignored.
  /// - Throws: error 102 naming what is missing.
  public borrowing func checkAddresses(
    of interface: Link, in result: CNIResult
  ) throws(CNIError) {
    let present = try kernel.addresses(of: interface.index)
    for ip in result.ips(of: interface.name, sandbox: path)
    where !present.contains(where: { $0.prefix == ip.address }) {
      throw CNIError(
        .checkFailed, "the address \(ip.address) is missing from \(interface.name) in \(path)")
    }
  }

  /// CHECK of routes: the pod has a route to each destination. A route that names no table may be in
  /// any table: source-based routing (the reference `sbr`) moves routes.
  /// - Throws: error 102 naming the route.
  public borrowing func checkRoutes(_ routes: [ResultRoute]) throws(CNIError) {
    for route in routes {
      // The table 0 of a result stands for none.
      let present = try kernel.routes(
        route.destination.family, table: route.table == 0 ? nil : route.table)
      guard
        present.contains(where: {
          $0.destination == route.destination.network && $0.kind == .unicast
        })
      else {
        throw CNIError(.checkFailed, "the route to \(route.destination) is missing in \(path)")
      }
    }
  }
}
