import CNI
import CNetlink

/// Runs the command and prints its result, or one error as a plugin would print it.
func run() -> Int32 {
  do throws(CNIError) {
    let command = try Command(commandLineArguments())
    if let result = try command.run() { try StandardStream.print(result.text) }
    return 0
  } catch {
    if error.code == Command.usageError {
      StandardStream.printDiagnostic(error.message)
      StandardStream.printDiagnostic(Command.usage)
      return 2
    }
    try? StandardStream.print(error.json(version: ProtocolVersion.newest.description).text)
    return 1
  }
}

exit(run())
