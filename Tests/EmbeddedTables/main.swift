// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded
import System
import Tables

exit(runTables())

/// Runs the unit tests' tables in the release build. Prints the number of passed cases of each table, and the
/// failed cases.
/// - Returns: the exit status: 0 if all passed.
private func runTables() -> Int32 {
  #if hasFeature(Embedded)
    var lines = ["Embedded Swift"]
  #else
    var lines = ["ordinary Swift"]
  #endif
  var failed = 0
  for table in Table.all {
    let failures = table.cases.compactMap { $0.failure }
    failed += failures.count
    let passed = table.cases.count - failures.count
    lines.append("\(table.name): \(passed) of \(table.cases.count) cases passed")
    lines += failures.map { "  \($0)" }
  }
  StandardStream.printDiagnostic(lines.joined(separator: "\n"))
  return failed == 0 ? 0 : 1
}
