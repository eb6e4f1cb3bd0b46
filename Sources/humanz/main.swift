import CNI
import CNetlink
import Embedded
import Leases
import Netfilter
import Netlink
import System

exit(run())

/// Runs the command that the first argument names.
func run() -> Int32 {
  StandardStream.prepare()
  do throws(CNIError) {
    let arguments = try programArguments()
    let rest = Array(arguments.dropFirst())
    switch arguments.first {
    case "ports": return try PortsCommand(rest).run()
    case "leases": return try LeasesCommand(rest).run()
    case "release": return try ReleaseCommand(rest).run()
    case "routes": return try RoutesCommand(rest).run()
    case "sync":
      var command = try SyncCommand(rest)
      return try command.run()
    case "run": return runNetwork(rest)
    case "--version":
      try printLine("humanz \(suiteVersion)")
      return 0
    case "--help", "-h", "help", nil:
      try printLine(usage)
      return 0
    case let word?:
      throw UsageError.error("there is no command \"\(word)\"")
    }
  } catch {
    StandardStream.printDiagnostic("humanz: \(error.message)")
    if !error.details.isEmpty { StandardStream.printDiagnostic(error.details) }
    return error.code == UsageError.code ? 2 : 1
  }
}

/// A command line that cannot be understood: the program ends with status 2.
enum UsageError {
  static var code: CNIError.Code { CNIError.Code(rawValue: 999) }

  static func error(_ message: String, usage text: String = usage) -> CNIError {
    CNIError(code, message, details: text)
  }
}

let usage = """
  usage: humanz ports [--json]
         humanz leases [NETWORK] [--json] [--data-dir DIR]
         humanz release NETWORK ADDRESS [--data-dir DIR]
         humanz routes [--json] [--conflist FILE]
         kubectl get nodes -o json | humanz sync --node NAME [--cluster-file FILE]
         kubectl get nodes -o json --watch --output-watch-events | \\
           humanz sync --watch --node NAME [--cluster-file FILE]
         humanz run add|check|del|gc|status|version CONFLIST [NETNS]
  """

private func programArguments() throws(CNIError) -> [String] {
  do { return try commandLineArguments() } catch { throw CNIError(error) }
}

/// Prints a text and a line's end on stdout.
func printLine(_ text: String) throws(CNIError) { try printLine(Array(text.utf8)) }

/// Prints bytes and a line's end on stdout.
func printLine(_ text: [UInt8]) throws(CNIError) {
  do { try StandardStream.print(text) } catch { throw CNIError(error) }
}
