// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded
import System

/// `humanz lint`: checks configurations, and this node for them.
/// - Returns: 1 if a file has an error.
func lintFiles(_ arguments: Arguments) throws(CNIError) -> Int32 {
  var files = arguments.operands
  if files.isEmpty {
    let folder = ConfiguredNetworks.folder
    files = NetworkList.fileNames(in: folder).map { "\(folder)/\($0)" }
    if files.isEmpty { throw CNIError(.io, "there is no configuration in \(folder)") }
  }
  let surroundings = LintSurroundings()
  var findings: [LintFinding] = []
  let areNamed = !arguments.operands.isEmpty
  for file in files {
    findings += Lint(file: file, isNamed: areNamed, surroundings).findings
  }
  if arguments.has("--json") {
    try Output.print(.object(JSONObject(("findings", .array(findings.map { $0.json })))))
  } else if findings.isEmpty {
    try Output.print("\(files.joined(separator: ", ")): nothing is wrong")
  } else {
    try Output.print(findings.map { printable("\($0.file): \($0.kind): \($0.sentence)") })
  }
  return findings.contains { $0.isError } ? 1 : 0
}

/// A finding of lint.
struct LintFinding {
  let file: String
  /// An error keeps pods from working; a warning may be intended.
  let isError: Bool
  let sentence: String

  var kind: String { isError ? "error" : "warning" }

  var json: JSON { row(("file", file), ("kind", kind), ("problem", sentence)) }
}

/// What lint reads of this node, once for all files.
struct LintSurroundings {
  /// The folders that are searched for plugins.
  let searchPath: String
  /// containerd's `bin_dir`; nil if its configuration names none.
  let containerdFolder: String?
  /// The newest protocol version that the installed containerd or podman supports; nil if neither is
  /// installed.
  let runtimeVersion: (runtime: String, version: ProtocolVersion)?

  private static let containerdFile = "/etc/containerd/config.toml"

  init() {
    containerdFolder = LintSurroundings.readContainerdFolder()
    if let path = environmentVariable("CNI_PATH"), !path.isEmpty {
      searchPath = path
    } else {
      searchPath = containerdFolder ?? "/opt/cni/bin"
    }
    runtimeVersion = LintSurroundings.askRuntime()
  }

  /// The value of the line `bin_dir = "FOLDER"`.
  private static func readContainerdFolder() -> String? {
    guard let bytes = try? FileDescriptor.contents(of: containerdFile) else { return nil }
    for line in String(decoding: bytes).fields(separatedBy: "\n") {
      let words = line.fields(separatedBy: "\"")
      if words.count > 1, words[0].fields(separatedBy: " ") == ["bin_dir", "="] { return words[1] }
    }
    return nil
  }

  /// The libcni in containerd before 2.0 and in podman with CNI supports versions up to 1.0.0.
  private static func askRuntime() -> (runtime: String, version: ProtocolVersion)? {
    for runtime in ["containerd", "podman"] {
      guard let path = executablePath(of: runtime) else { continue }
      guard let outcome = try? Program(path, arguments: ["--version"]).run() else { continue }
      let words = String(decoding: outcome.output).fields(separatedBy: " ")
      let version = words.first { decimalDigit($0.utf8.first ?? 0) != nil } ?? ""
      let isNew = runtime == "containerd" && !version.begins(with: "1.")
      return ("\(runtime) \(version)", isNew ? .v110 : .v100)
    }
    return nil
  }

  /// Whether a folder of a search path has a plugin.
  func has(_ plugin: String, in path: String) -> Bool {
    path.fields(separatedBy: ":").contains { isExecutableFile("\($0)/\(plugin)") }
  }
}
