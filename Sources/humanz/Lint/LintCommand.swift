// SPDX-License-Identifier: Apache-2.0
import CNI
import CNetlink
import Embedded

/// `humanz lint`: checks configurations, and whether this node fits them.
/// - Returns: 1 if a file has an error.
func lintFiles(_ arguments: Arguments) throws(CNIError) -> Int32 {
  var files = arguments.operands
  if files.isEmpty {
    files = configurationFiles()
    if files.isEmpty {
      let folder = ConfiguredNetworks.folder
      throw CNIError(
        .io, "there is no configuration in \(folder)", details: exampleAdvice(for: folder))
    }
  }
  let findings = lint(files, areNamed: !arguments.operands.isEmpty)
  if arguments.has("--json") {
    try Output.print(.object(JSONObject(("findings", .array(findings.map { $0.json })))))
  } else if findings.isEmpty {
    try Output.print("\(files.joined(separator: ", ")): nothing is wrong")
  } else {
    try Output.print(findings.map { printable("\($0.file): \($0.kind): \($0.sentence)") })
  }
  return findings.contains { $0.isError } ? 1 : 0
}

/// The node's configurations, in a runtime's order.
func configurationFiles() -> [String] {
  let folder = ConfiguredNetworks.folder
  return NetworkList.fileNames(in: folder).map { "\(folder)/\($0)" }
}

/// What is wrong in each configuration, and where two of them conflict.
/// - Parameter areNamed: whether the user named the files; see `NetworkList`.
func lint(_ files: [String], areNamed: Bool) -> [LintFinding] {
  // Reading the surroundings runs `containerd --version` or `podman --version`.
  if files.isEmpty { return [] }
  let surroundings = LintSurroundings()
  var findings: [LintFinding] = []
  var networks: [(name: NetworkName, file: String)] = []
  for file in files {
    let lint = Lint(file: file, isNamed: areNamed, surroundings)
    findings += lint.findings
    guard let name = lint.name else { continue }
    if let first = networks.first(where: { $0.name == name })?.file, first != file {
      findings.append(
        LintFinding(
          file: file, isError: false,
          sentence:
            "the network \"\(name)\" is in \(first) too: podman uses only one of the files, and both lease from one store"
        ))
    }
    networks.append((name, file))
  }
  return findings
}

/// How to get a first configuration.
func exampleAdvice(for folder: String) -> String {
  let examples = "/usr/share/doc/humanz/examples"
  let source = access(examples, F_OK) == 0 ? "an example from \(examples)" : "an example"
  return "copy \(source) into \(folder), and give it your subnets"
}

/// A finding of lint.
struct LintFinding {
  let file: String
  /// An error keeps pods from working; a warning may be intended.
  let isError: Bool
  let sentence: String
  /// Whether the sentence has the file's path in it.
  var namesFile = false

  var kind: String { isError ? "error" : "warning" }

  var json: JSON { stringObject(("file", file), ("kind", kind), ("problem", sentence)) }
}
