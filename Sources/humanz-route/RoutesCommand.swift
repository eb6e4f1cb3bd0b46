import CNI
import Netlink
import Stage

/// `humanz-route routes`: the node's routes that the suite made.
struct RoutesCommand {
  init(_ arguments: [String]) throws(CNIError) {
    guard arguments.isEmpty else {
      throw CNIError(.invalidEnvironment, "usage: humanz-route routes")
    }
  }

  /// Prints the table.
  /// - Returns: the exit status.
  func run() throws(CNIError) -> Int32 {
    let node = try Node()
    var lines: [String] = []
    do throws(NetlinkError) {
      for family in [IPAddress.Family.v4, .v6] {
        lines += try node.socket.routes(family, proto: Route.humanz).map { $0.description }
      }
    } catch {
      throw CNIError(error)
    }
    try StandardStream.print(Array(lines.joined(separator: "\n").utf8))
    return 0
  }
}
