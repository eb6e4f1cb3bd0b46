import CNI
import CNetlink
import Embedded
import Netfilter
import Netlink
import Routes
import System

/// `humanz routes`: how the node stands, the first thing to run when a ping fails.
struct RoutesCommand {
  private var conflist: String?
  private var printsJSON = false

  /// - Throws: error 4 for arguments that are none.
  init(_ arguments: [String]) throws(CNIError) {
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--json" {
        printsJSON = true
      } else if argument == "--conflist", let path = rest.popFirst() {
        conflist = path
      } else {
        throw CNIError(
          UsageError.code, "usage: humanz routes [--json] [--conflist FILE]",
          details: "without FILE: the networks in \(NetworkList.defaultFolder)")
      }
    }
  }

  /// - Returns: the exit status.
  func run() throws(CNIError) -> Int32 {
    let conflists = try ConfiguredNetworks(file: conflist)
    for complaint in conflists.complaints { StandardStream.printDiagnostic(complaint) }
    let report = try RouteReport(conflists.networks)
    try printLine(
      printsJSON ? report.json.text : Array(report.lines.joined(separator: "\n").utf8))
    return 0
  }
}
