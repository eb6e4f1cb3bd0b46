// SPDX-License-Identifier: Apache-2.0
import CNI
import CNetlink
import Embedded
import System

/// The plugins of the suite.
let pluginNames = ["humanz-bridge", "humanz-ipam", "humanz-route"]

/// `humanz install`: writes the plugins, and then a conflist, where a runtime looks for them.
func installFiles(_ arguments: Arguments) throws(CNIError) -> Int32 {
  var installation = try Installation(arguments)
  let conflist = arguments["--conflist"]
  let conflistName = conflist.map { Directory.parts(of: $0).name } ?? ""
  if let conflist, !NetworkList.isFileName(conflistName) {
    throw .wrongUsage(
      "--conflist is \"\(conflist)\", expected a name that ends in .conf, .conflist or .json")
  }
  let sources = try arguments.path("--from").map { [$0] } ?? Runtime.ownAndUsualFolders
  // An earlier `humanz install` may have written older plugins there.
  let written = [installation.pluginFolder, Installation.defaultPluginFolder]
  for name in pluginNames {
    guard
      let source =
        folder(of: name, among: sources, besides: written) ?? folder(of: name, among: sources)
    else {
      throw CNIError(
        .io, "the plugin \(name) is in none of the folders \(sources.joined(separator: ":"))",
        details: "name its folder with --from")
    }
    let bytes = try contents(of: "\(source)/\(name)")
    guard try installation.put(bytes, .plugin, name, mode: 0o755) else {
      throw CNIError(
        .exists,
        "\(installation.path(.plugin, name)) was not written by `humanz install`, or was changed since",
        details: "remove it, or name another folder with --bin-dir")
    }
  }
  if let conflist {
    let bytes = try contents(of: conflist)
    // Parsed before it is written: a runtime with a broken conflist has no network.
    _ = try NetworkList(parsing: bytes, path: conflist)
    if try !installation.put(bytes, .conflist, conflistName, mode: 0o644) {
      Output.complain(
        "\(installation.path(.conflist, conflistName)) was not written by `humanz install`, or was changed since; it stays"
      )
      return 1
    }
  }
  return 0
}

/// The first folder that has a plugin; nil if none has it.
@inline(never)
private func folder(
  of plugin: String, among folders: [String], besides excluded: [String] = []
) -> String? {
  folders.first { !excluded.contains($0) && isExecutableFile("\($0)/\(plugin)") }
}

/// `humanz uninstall`: removes the networks if asked for, and then what `humanz install` wrote, the plugins last.
func uninstallFiles(_ arguments: Arguments) throws(CNIError) -> Int32 {
  var installation = try Installation(arguments)
  // The plugins may be in another folder, as those of a package are.
  let searchPath = "\(installation.pluginFolder):\(Runtime.defaultSearchPath)"
  var removals: [NetworkRemoval] = []
  if arguments.has("--network") {
    for folder in installation.conflistFolders {
      removals.append(try NetworkRemoval(ConfiguredNetworks(file: nil, folder: folder)))
    }
  }
  var allRemoved = true
  for removal in removals where try !removal.remove(searchPath: searchPath) { allRemoved = false }
  // The conflists and the plugins stay too: the next `uninstall --network` needs them to remove the rest.
  guard allRemoved else { return 1 }
  let conflistsAreRemoved = try installation.remove(.conflist)
  guard try installation.remove(.plugin), conflistsAreRemoved else { return 1 }
  try installation.removeRecord()
  return 0
}

private func contents(of path: String) throws(CNIError) -> [UInt8] {
  do { return try FileDescriptor.contents(of: path) } catch { throw CNIError(error) }
}

/// What `humanz install` wrote on this node.
///
/// A file in the plugins' folder records it. It has a line for each file: its kind, its name or path, and a
/// fingerprint of its content, which shows whether somebody has changed or replaced the file since.
struct Installation {
  enum Kind {
    case plugin, conflist

    fileprivate var word: String { self == .plugin ? "plugin" : "conflist" }
  }

  private struct Record {
    let kind: Kind
    /// The name of a plugin, which is beside the record; the path of a conflist.
    let place: String
    let fingerprint: String
  }

  static let defaultPluginFolder = "/opt/cni/bin"

  let pluginFolder: String
  private let plugins: Folder
  private let conflists: Folder
  private var records: [Record] = []
  private static let recordName = ".humanz-installed"

  /// A missing folder counts as empty. It is made when the first file is written.
  init(_ arguments: Arguments) throws(CNIError) {
    pluginFolder = try arguments.path("--bin-dir") ?? Installation.defaultPluginFolder
    plugins = try Folder(pluginFolder)
    conflists = try Folder(arguments.path("--conf-dir") ?? NetworkList.defaultFolder)
    let text = try plugins.read(Installation.recordName) ?? []
    for line in String(decoding: text).fields(separatedBy: "\n") {
      let kind = line.begins(with: "plugin ") ? Kind.plugin : .conflist
      let rest = line.dropping(bytes: kind.word.utf8.count + 1)
      // The name may have spaces in it.
      guard let fingerprint = rest.fields(separatedBy: " ").last else { continue }
      let size = rest.utf8.count - fingerprint.utf8.count - 1
      guard size > 0 else { continue }
      var place = rest.keeping(bytes: size)
      // An older humanz wrote the conflist's name alone.
      if kind == .conflist, place.utf8.first != UInt8(ascii: "/") { place = path(kind, place) }
      records.append(Record(kind: kind, place: place, fingerprint: fingerprint))
    }
  }

  private func folder(_ kind: Kind) -> Folder { kind == .plugin ? plugins : conflists }

  func path(_ kind: Kind, _ name: String) -> String { "\(folder(kind).path)/\(name)" }

  /// The folder of `--conf-dir`, and others that a conflist was installed in.
  var conflistFolders: [String] {
    var folders = [conflists.path]
    for record in records where record.kind == .conflist {
      let folder = Directory.parts(of: record.place).folder
      let name = folder.keeping(bytes: folder.utf8.count - 1)
      if !folders.contains(name) { folders.append(name) }
    }
    return folders
  }

  private func place(_ kind: Kind, _ name: String) -> String {
    kind == .plugin ? name : path(kind, name)
  }

  /// Writes a file in one step, unless it has this content already.
  /// - Returns: false if the file of that name was written by somebody else, or changed since; it stays.
  mutating func put(
    _ bytes: [UInt8], _ kind: Kind, _ name: String, mode: mode_t
  ) throws(CNIError) -> Bool {
    let folder = folder(kind)
    let place = place(kind, name)
    if let old = try folder.read(name) {
      if old == bytes { return true }
      guard isRecorded(kind, place, old) else { return false }
    }
    // Recorded first, so that a file that a killed install has written can be uninstalled.
    let record = Record(kind: kind, place: place, fingerprint: fingerprint(bytes))
    records.append(record)
    try writeRecords()
    try folder.write(name, bytes, mode)
    records.removeAll {
      $0.kind == kind && $0.place == place && $0.fingerprint != record.fingerprint
    }
    try writeRecords()
    try Output.print("\(path(kind, name)) is written")
    return true
  }

  /// Removes the files of a kind that are unchanged since they were written.
  /// - Returns: whether all were unchanged.
  mutating func remove(_ kind: Kind) throws(CNIError) -> Bool {
    var allRemoved = true
    var places: [String] = []
    for record in records where record.kind == kind && !places.contains(record.place) {
      places.append(record.place)
    }
    for place in places {
      let (path, name) = Directory.parts(of: place)
      let folder = kind == .plugin ? plugins : try Folder(path)
      guard let bytes = try folder.read(name) else { continue }
      if isRecorded(kind, place, bytes) {
        try folder.remove(name)
        try Output.print("\(folder.path)/\(name) is removed")
      } else {
        allRemoved = false
        Output.complain("\(folder.path)/\(name) was changed since it was written, and stays")
      }
    }
    return allRemoved
  }

  /// Removes the record, after the files.
  func removeRecord() throws(CNIError) { try plugins.remove(Installation.recordName) }

  private func isRecorded(_ kind: Kind, _ place: String, _ bytes: [UInt8]) -> Bool {
    let fingerprint = fingerprint(bytes)
    return records.contains {
      $0.kind == kind && $0.place == place && $0.fingerprint == fingerprint
    }
  }

  private func writeRecords() throws(CNIError) {
    let lines = records.map { "\($0.kind.word) \($0.place) \($0.fingerprint)\n" }
    try plugins.write(Installation.recordName, Array(lines.joined(separator: "").utf8), 0o644)
  }

  /// A 64-bit FNV-1a hash, and the length.
  private func fingerprint(_ bytes: [UInt8]) -> String {
    "\(String(fnv1a(bytes), digits: 16, radix: 16)).\(bytes.count)"
  }
}

/// A folder of programs or configurations, whose files are replaced in one step.
private final class Folder {
  let path: String
  /// nil while it is missing.
  private var directory: Directory?

  init(_ path: String) throws(CNIError) {
    let names = path.fields(separatedBy: "/")
    // A conflist's path in the record has one spelling.
    self.path = "/\(names.joined(separator: "/"))"
    guard !names.contains(where: { $0 == "." || $0 == ".." }) else {
      throw .wrongUsage(
        "\(path): the path in --bin-dir or --conf-dir must not contain \".\" or \"..\"")
    }
    do { directory = try Directory(path: path, make: false) } catch { throw CNIError(error) }
  }

  /// The file's content; nil if it does not exist.
  func read(_ name: String) throws(CNIError) -> [UInt8]? {
    if directory == nil { return nil }
    do { return try directory!.read(name, limit: 1 << 24) } catch { throw CNIError(error) }
  }

  func write(_ name: String, _ bytes: [UInt8], _ mode: mode_t) throws(CNIError) {
    if directory == nil { try make() }
    do throws(SystemError) {
      try directory!.replace(name, bytes, mode: mode)
      try directory!.sync()
    } catch {
      throw CNIError(error)
    }
  }

  func remove(_ name: String) throws(CNIError) {
    if directory == nil { return }
    do { try directory!.remove(name) } catch { throw CNIError(error) }
  }

  /// Makes the folder and those above it, 0755 whatever the umask is.
  private func make() throws(CNIError) {
    do throws(SystemError) {
      guard var current = try Directory(path: path, make: false, nearest: true) else { return }
      let existing = current.path.fields(separatedBy: "/").count
      for name in path.fields(separatedBy: "/").dropFirst(existing) {
        guard let made = try current.directory(name, make: true) else { return }
        fchmod(made.rawValue, 0o755)
        current = made
      }
      directory = consume current
    } catch {
      throw CNIError(error)
    }
    try Output.print("\(path) is made")
  }
}
