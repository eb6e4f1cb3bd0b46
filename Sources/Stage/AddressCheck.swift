import CNI
import Netlink

extension CNIResult {
  /// The addresses of an interface of a namespace: those that name it, and those that name none.
  public func ips(of name: InterfaceName, sandbox: String) -> [ResultIP] {
    let index = interface(name, sandbox: sandbox)?.index
    return ips.filter { $0.interface == nil || $0.interface == index }
  }
}

extension Pod {
  /// CHECK of addresses and routes: each of the result's that belongs to the interface is there.
  /// What others added does no harm.
  /// - Throws: error 102 naming what is missing.
  public borrowing func checkAddresses(
    of interface: Link, in result: CNIResult
  ) throws(CNIError) {
    let present: [InterfaceAddress]
    do { present = try socket.addresses(index: interface.index) } catch { throw CNIError(error) }
    for ip in result.ips(of: interface.name, sandbox: path)
    where !present.contains(where: { $0.prefix == ip.address }) {
      throw CNIError(
        .checkFailed, "the address \(ip.address) is missing from \(interface.name) in \(path)")
    }
  }

  /// CHECK of routes: each of the result's whose destination the pod's tables do not have. One that
  /// names no table may be in any: source-based routing, as the reference `sbr`, moves it.
  /// - Throws: error 102 naming the route.
  public borrowing func checkRoutes(_ routes: [ResultRoute]) throws(CNIError) {
    for route in routes {
      let present: [Route]
      do { present = try socket.routes(route.destination.family, table: route.table) } catch {
        throw CNIError(error)
      }
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
