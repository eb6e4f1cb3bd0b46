import CNI
import Netlink
import System

/// Runs a network's plugins and prints the result, or one error as a plugin would print it.
/// - Returns: the exit status.
func runNetwork(_ arguments: [String]) -> Int32 {
  let command: RunCommand
  do throws(CNIError) { command = try RunCommand(arguments) } catch {
    guard error.code == UsageError.code else { return report(error) }
    StandardStream.printDiagnostic(error.message)
    StandardStream.printDiagnostic(RunCommand.usage)
    return 2
  }
  do throws(CNIError) {
    if let result = try command.run() { try printLine(result.text) }
    return 0
  } catch {
    return report(error)
  }
}

/// The error is the plugin's own, whatever its code.
private func report(_ error: CNIError) -> Int32 {
  try? printLine(error.json(version: ProtocolVersion.newest.description).text)
  return 1
}
