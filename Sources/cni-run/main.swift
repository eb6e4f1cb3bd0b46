import CNI
import CNetlink

/// Runs the command and prints its result, or one error as a plugin would print it.
func run() -> Int32 {
  let command: Command
  do throws(CNIError) { command = try Command(commandLineArguments()) } catch {
    guard error.code == Command.usageError else { return report(error) }
    StandardStream.printDiagnostic(error.message)
    StandardStream.printDiagnostic(Command.usage)
    return 2
  }
  do throws(CNIError) {
    if let result = try command.run() { try StandardStream.print(result.text) }
    return 0
  } catch {
    return report(error)
  }
}

/// Whatever code a plugin answered with, it is the plugin's own.
func report(_ error: CNIError) -> Int32 {
  try? StandardStream.print(error.json(version: ProtocolVersion.newest.description).text)
  return 1
}

exit(run())
