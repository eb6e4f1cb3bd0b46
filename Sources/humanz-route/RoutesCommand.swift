import CNI
import CNetlink
import Stage

/// `humanz-route routes`: how the node stands, the first thing to run when a ping fails.
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
          .invalidEnvironment, "usage: humanz-route routes [--json] [--conflist FILE]",
          details: "without FILE: the networks in \(Conflists.defaultFolder)")
      }
    }
  }

  /// - Returns: the exit status.
  func run() throws(CNIError) -> Int32 {
    let conflists = try Conflists(file: conflist)
    for complaint in conflists.complaints { StandardStream.printDiagnostic(complaint) }
    let report = try RouteReport(conflists.networks)
    try StandardStream.print(
      printsJSON ? report.json.text : Array(report.lines.joined(separator: "\n").utf8))
    return 0
  }
}
