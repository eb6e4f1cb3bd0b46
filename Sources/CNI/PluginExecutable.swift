// SPDX-License-Identifier: Apache-2.0
import Embedded
import System

/// A plugin that is run by its bare name from CNI_PATH (specification section 4, and section 2 for
/// how a runtime runs one).
public struct PluginExecutable {
  /// The bare name, as in a configuration's `type`.
  public let name: String
  private let path: String

  /// Finds an executable file on a search path.
  /// - Parameter searchPath: folders with `:` between, as CNI_PATH. Those that are not absolute are left out:
  ///   what they mean depends on the runtime's working directory.
  /// - Throws: error 7 for a name that is a path, 103 if no folder has it.
  public init(
    _ name: String, searchPath: String = environmentVariable("CNI_PATH") ?? ""
  ) throws(CNIError) {
    guard !name.isEmpty, name != ".", name != "..", !Array(name.utf8).contains(UInt8(ascii: "/"))
    else {
      throw CNIError(
        .invalidConfiguration, "the plugin type \"\(name)\" is not a bare name of an executable")
    }
    for folder in searchPath.fields(separatedBy: ":") where folder.utf8.first == UInt8(ascii: "/") {
      let path = "\(folder)/\(name)"
      if isExecutableFile(path) {
        self.name = name
        self.path = path
        return
      }
    }
    throw CNIError(
      .delegate, "the plugin \"\(name)\" is in no folder of CNI_PATH; relative folders are ignored",
      details: "CNI_PATH is \"\(searchPath)\"")
  }

  /// Runs the plugin and waits for it. Its stderr is this process's.
  /// - Parameters:
  ///   - input: its stdin.
  ///   - changes: the environment variables to add to this process's, or to replace.
  /// - Returns: what it printed on stdout.
  /// - Throws: the plugin's own error; 103 if it could not be run, was killed or printed no error.
  public func run(
    input: [UInt8], environment changes: [(name: String, value: String)] = []
  ) throws(CNIError) -> [UInt8] {
    let outcome: Program.Outcome
    do { outcome = try Program(path).run(input: input, environment: changes) } catch {
      throw CNIError(.delegate, "the plugin \"\(name)\": \(error)")
    }
    if outcome.status == 0 { return outcome.output }
    if let json = try? JSON(parsing: outcome.output), let error = CNIError(json) { throw error }
    throw CNIError(
      .delegate,
      "the plugin \"\(name)\" ended with status \(outcome.status) and printed no CNI error",
      details: String(decoding: outcome.output.prefix(1024)))
  }
}
