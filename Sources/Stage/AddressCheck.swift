import CNI
import Netlink

extension Pod {
  /// CHECK of addresses and routes: each of the result's that belongs to the interface is there.
  /// What others added does no harm.
  /// - Throws: error 102 naming what is missing.
  public borrowing func checkAddresses(
    of interface: Link, in result: CNIResult
  ) throws(CNIError) {
    let index = result.interfaces.firstIndex {
      $0.name == interface.name.description && $0.sandbox == path
    }
    let ips = result.ips.filter { $0.interface == nil || $0.interface == index }
    let present: [InterfaceAddress]
    do { present = try socket.addresses(index: interface.index) } catch { throw CNIError(error) }
    for ip in ips where !present.contains(where: { $0.prefix == ip.address }) {
      throw CNIError(
        .checkFailed, "the address \(ip.address) is missing from \(interface.name) in \(path)")
    }
  }

  /// CHECK of routes: each of the result's whose destination the pod's tables do not have.
  /// - Throws: error 102 naming the route.
  public borrowing func checkRoutes(_ routes: [ResultRoute]) throws(CNIError) {
    for route in routes {
      let table = route.table ?? Route.mainTable
      let present: [Route]
      do { present = try socket.routes(route.destination.family, table: table) } catch {
        throw CNIError(error)
      }
      guard present.contains(where: { $0.destination == route.destination.network }) else {
        throw CNIError(.checkFailed, "the route to \(route.destination) is missing in \(path)")
      }
    }
  }
}
