import CNI

/// `humanz-route routes` and the other commands for a person: each in a file of its own.
extension RoutePlugin {
  static var usage: String {
    """
      humanz-route routes [--json] [--conflist FILE]
      kubectl get nodes -o json | humanz-route sync --node NAME [--cluster-file FILE]
      kubectl get nodes -o json --watch --output-watch-events | \\
        humanz-route sync --watch --node NAME [--cluster-file FILE]
    """
  }

  static func command(_ arguments: [String]) throws(CNIError) -> Int32? {
    let rest = Array(arguments.dropFirst())
    switch arguments[0] {
    case "routes": return try RoutesCommand(rest).run()
    case "sync":
      var command = try SyncCommand(rest)
      return try command.run()
    default: return nil
    }
  }
}
