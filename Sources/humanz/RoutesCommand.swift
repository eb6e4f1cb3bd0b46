// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded

/// `humanz routes`: the node's routes and firewalls; the first command to run when a ping fails.
/// - Returns: 1 if something is wrong.
func showRoutes(_ arguments: Arguments) throws(CNIError) -> Int32 {
  let configured = try ConfiguredNetworks(file: arguments["--conflist"])
  for problem in configured.problems { Output.complain(problem) }
  let report = try RouteReport(configured)
  if arguments.has("--dot") {
    try Output.print(report.graph)
  } else if arguments.has("--json") {
    try Output.print(report.json)
  } else {
    try Output.print(report.lines(wide: arguments.has("--wide")))
  }
  return report.problems.isEmpty && configured.problems.isEmpty ? 0 : 1
}
