// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded
import System

/// What lint reads of this node, once for all files.
struct LintSurroundings {
  /// The folders of plugins that a runtime's configuration names.
  struct RuntimeFolders {
    let name: String
    let folders: [String]
  }

  /// The runtimes whose configuration names folders.
  let runtimes: [RuntimeFolders]
  /// All folders in which runtimes look for plugins: those of CNI_PATH first.
  let folders: [String]
  /// The folders in which containerd looks for plugins.
  let containerdFolders: [String]
  /// The newest protocol version that the installed containerd or podman supports; nil if neither is
  /// installed, or says its version.
  let runtimeVersion: (runtime: String, version: ProtocolVersion)?

  /// Where nerdctl and podman also look.
  private static var localFolders: [String] { ["/usr/local/lib/cni", "/usr/local/libexec/cni"] }

  init() {
    let path = (environmentVariable("CNI_PATH") ?? "").fields(separatedBy: ":")
    runtimes = [
      RuntimeFolders("containerd", ["bin_dir", "bin_dirs"], ["/etc/containerd/config.toml"]),
      RuntimeFolders(
        "podman", ["cni_plugin_dirs"],
        ["/usr/share/containers/containers.conf", "/etc/containers/containers.conf"]
          + files(in: "/etc/containers/containers.conf.d")),
      RuntimeFolders(
        "CRI-O", ["plugin_dir", "plugin_dirs"],
        ["/etc/crio/crio.conf"] + files(in: "/etc/crio/crio.conf.d")),
    ].filter { !$0.folders.isEmpty }
    var folders: [String] = []
    let usual = Runtime.usualFolders + LintSurroundings.localFolders
    for folder in path + runtimes.flatMap({ $0.folders }) + usual where !folders.contains(folder) {
      folders.append(folder)
    }
    self.folders = folders
    containerdFolders =
      runtimes.first { $0.name == "containerd" }?.folders ?? ["/opt/cni/bin"]
    runtimeVersion = LintSurroundings.askRuntime()
  }

  /// Runs `containerd --version` or `podman --version`.
  private static func askRuntime() -> (runtime: String, version: ProtocolVersion)? {
    for runtime in ["containerd", "podman"] {
      guard let path = executablePath(of: runtime),
        let output = Program(path, arguments: ["--version"]).output(withinSeconds: 5),
        let version = version(in: String(decoding: output))
      else { continue }
      return ("\(runtime) \(version)", supported(by: runtime, version))
    }
    return nil
  }

  /// The libcni of containerd before 1.6 and podman before 4.0 supports up to 0.4.0, that of containerd before 2.0
  /// and of podman 4 up to 1.0.0.
  static func supported(by runtime: String, _ version: String) -> ProtocolVersion {
    let numbers = version.fields(separatedBy: ".").map { Int($0) ?? 0 }
    guard runtime == "containerd" else { return numbers[0] < 4 ? .v040 : .v100 }
    if numbers[0] > 1 { return .v110 }
    return numbers[0] == 1 && numbers[1] >= 6 ? .v100 : .v040
  }

  /// The version in what a runtime prints of itself, such as `1.6.20~ds1` or `v1.7.13`, without the `v`; nil if
  /// there is none. The hash of a commit may begin with a digit too, but has no dot in it.
  static func version(in text: String) -> String? {
    for word in text.words {
      let version = word.begins(with: "v") ? word.dropping(bytes: 1) : word
      if decimalDigit(version.utf8.first ?? 0) != nil,
        version.fields(separatedBy: ".").count > 1
      {
        return version
      }
    }
    return nil
  }

  /// Whether one of some folders has a plugin.
  func has(_ plugin: String, in folders: [String]) -> Bool {
    folders.contains { isExecutableFile("\($0)/\(plugin)") }
  }
}

/// The files in a folder, in the order of their names; none if it is missing.
private func files(in folder: String) -> [String] {
  guard let directory = try? Directory(path: folder, make: false),
    let names = try? directory.names()
  else { return [] }
  return names.sortedByBytes().map { "\(folder)/\($0)" }
}

extension LintSurroundings.RuntimeFolders {
  /// - Parameters:
  ///   - keys: which of its keys name folders: `KEY = "FOLDER"` or `KEY = ["FOLDER", …]`, also on several lines.
  ///   - files: its TOML files; the last one that has a key counts.
  fileprivate init(_ name: String, _ keys: [String], _ files: [String]) {
    var folders: [String] = []
    for file in files {
      guard let bytes = try? FileDescriptor.contents(of: file) else { continue }
      var isInside = false
      for line in String(decoding: bytes).fields(separatedBy: "\n") {
        let parts = LintSurroundings.RuntimeFolders.parts(line)
        if !isInside {
          guard keys.contains(where: { parts[0] == "\($0)=" || parts[0] == "\($0)=[" }) else {
            continue
          }
          folders = []
          isInside = parts[0].utf8.last == UInt8(ascii: "[")
        }
        for (index, part) in parts.enumerated() {
          if index % 2 == 1 {
            if !part.isEmpty { folders.append(part) }
          } else if part.utf8.contains(UInt8(ascii: "]")) {
            isInside = false
          }
        }
      }
    }
    self.name = name
    self.folders = folders
  }

  /// What is before, between and after the quotation marks of a line, without blanks and comment.
  private static func parts(_ line: String) -> [String] {
    var bytes: [UInt8] = []
    for byte in line.utf8 {
      if byte == UInt8(ascii: "#") { break }
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): continue
      case UInt8(ascii: "'"): bytes.append(UInt8(ascii: "\""))
      default: bytes.append(byte)
      }
    }
    return String(decoding: bytes).fields(separatedBy: "\"", omittingEmpty: false)
  }
}
