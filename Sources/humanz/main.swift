// SPDX-License-Identifier: Apache-2.0
import CNI
import CNetlink
import Embedded
import System

exit(runTool())

/// Runs the command that the first word names.
/// - Returns: the exit status: 0 fine, 1 something is wrong, 2 wrong usage.
private func runTool() -> Int32 {
  StandardStream.prepare()
  var command = overviewCommand
  do throws(CNIError) {
    var words = try programArguments()
    if let first = words.first, first.utf8.first != UInt8(ascii: "-") {
      words.removeFirst()
      if first == "help" { return try showHelp(words) }
      command = try namedCommand(first)
    }
    if Arguments.askForHelp(words, options: command.options) {
      try Output.print(command.name.isEmpty ? toolHelp : command.help)
      return 0
    }
    if words == ["--version"] {
      try Output.print("humanz \(suiteVersion)")
      return 0
    }
    let arguments = try Arguments(words, options: command.options, count: command.operands)
    try checkVariables()
    return try command.run(arguments)
  } catch {
    Output.complain(error)
    guard error.isWrongUsage else { return 1 }
    for line in command.usage + ["`\(command.title) --help` says more"] {
      StandardStream.printDiagnostic(line)
    }
    return 2
  }
}

private func programArguments() throws(CNIError) -> [String] {
  do { return try commandLineArguments() } catch { throw CNIError(error) }
}
