// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded
import System

/// A conflist: the plugins of a network in the order they are run (specification section 1).
public struct NetworkList {
  /// The network's name: `name` of the conflist.
  public let name: NetworkName
  /// The newest of `cniVersions` that the suite supports, or else `cniVersion`: the version to call the
  /// plugins with.
  public let version: ProtocolVersion
  /// `cniVersion`: the version for a runtime that does not know `cniVersions`.
  public let declaredVersion: ProtocolVersion
  /// The plugins' configurations, in the order in which ADD calls them; of a single plugin's file, that one.
  public let plugins: [Keys]
  /// Whether runtimes must not call CHECK; false if the key is absent.
  public let disableCheck: Bool
  /// Whether runtimes must not call GC; false if the key is absent.
  public let disableGC: Bool

  /// The folder in which runtimes look for conflists.
  public static let defaultFolder = "/etc/cni/net.d"

  /// Reads a conflist, or a single plugin's configuration as a list of one.
  /// - Parameter isNamed: whether the user named the file. Then it may be a pipe, whose writer is waited for.
  /// - Throws: error 5 for the file, 6 for what is not a JSON object, 1 for `cniVersion`, 7 for another key.
  public init(path: String, isNamed: Bool = true) throws(CNIError) {
    let text: [UInt8]
    do {
      text = try FileDescriptor.contents(of: path, flags: isNamed ? 0 : O_NONBLOCK)
    } catch {
      throw CNIError(error)
    }
    try self.init(parsing: text, path: path)
  }

  /// Reads the content of the file at a path.
  /// - Throws: error 6 for what is not JSON, 1 or 7 for a key.
  public init(parsing text: [UInt8], path: String) throws(CNIError) {
    let json: JSON
    do throws(JSONError) { json = try JSON(parsing: text) } catch {
      throw CNIError(.undecodable, "\(path) is not JSON", details: error.description)
    }
    guard let object = json.object else {
      throw CNIError(.undecodable, "\(path) is \(json.kind), not an object")
    }
    let keys = Keys(object)
    guard let name = try keys.parsed("name", as: NetworkName.expected, NetworkName.init) else {
      throw keys.invalid("name", "is required: the network's name")
    }
    self.name = name
    let version = try NetworkList.version(keys)
    self.version = version
    declaredVersion = (try? NetworkConfiguration.version(keys)) ?? version
    plugins = try keys.list("plugins") ?? [keys]
    guard !plugins.isEmpty else { throw keys.invalid("plugins", "is empty") }
    disableCheck = try NetworkList.flag("disableCheck", keys)
    disableGC = try NetworkList.flag("disableGC", keys)
  }

  /// A boolean, or a string with one: specification 0.4.0 makes `disableCheck` a string, and libcni accepts
  /// both forms, the string in any case.
  private static func flag(_ key: String, _ keys: Keys) throws(CNIError) -> Bool {
    if let text = keys.object[key]?.string {
      let characters = text.utf8.map { lowercased($0) }
      if characters == Array("true".utf8) { return true }
      if characters == Array("false".utf8) { return false }
    }
    return try keys.bool(key) ?? false
  }

  /// The newest of `cniVersions` that we support, else `cniVersion`.
  private static func version(_ keys: Keys) throws(CNIError) -> ProtocolVersion {
    let offered = try keys.strings("cniVersions") ?? []
    if let newest = offered.compactMap({ ProtocolVersion($0) }).max() { return newest }
    return try NetworkConfiguration.version(keys)
  }

  /// The configuration that each plugin of a type is called with, before a runtime adds to it.
  /// - Throws: error 7 naming the key.
  public func configurations(ofType type: String) throws(CNIError) -> [NetworkConfiguration] {
    var configurations: [NetworkConfiguration] = []
    for plugin in plugins where plugin.object["type"]?.string == type {
      var object = plugin.object
      object["cniVersion"] = .string(version.description)
      object["name"] = .string(name.description)
      configurations.append(try NetworkConfiguration(plugin.replaced(by: object)))
    }
    return configurations
  }

  /// The names of the files in a folder that a runtime takes for configurations, in its order: those that end
  /// in `.conf`, `.conflist` or `.json`, by their bytes. Names that begin with a dot are left out, although a
  /// runtime takes them. A folder that
  /// is missing or cannot be read has none.
  public static func fileNames(in folder: String) -> [String] {
    guard let directory = try? Directory(path: folder, make: false),
      let names = try? directory.names()
    else { return [] }
    return names.filter { isFileName($0) }.sortedByBytes()
  }

  /// Whether a runtime takes a file of this name for a configuration.
  public static func isFileName(_ name: String) -> Bool {
    name.ends(with: ".conf") || name.ends(with: ".conflist") || name.ends(with: ".json")
  }
}
