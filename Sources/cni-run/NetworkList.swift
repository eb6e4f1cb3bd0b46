import CNI
import CNetlink

/// A conflist: the plugins of a network in the order they are run (specification section 1).
struct NetworkList {
  let name: NetworkName
  let version: ProtocolVersion
  let plugins: [Keys]
  let disableCheck: Bool
  let disableGC: Bool

  /// Reads a conflist, or a single plugin's configuration as a list of one.
  init(path: String) throws(CNIError) {
    let text = try FileDescriptor(path: path, flags: O_RDONLY).readAll()
    let json: JSON
    do { json = try JSON(parsing: text) } catch {
      throw CNIError(.undecodable, "\(path) is not JSON", details: error.description)
    }
    guard let object = json.object else {
      throw CNIError(.undecodable, "\(path) is \(json.kind), not an object")
    }
    let keys = Keys(object)
    guard let name = try keys.parsed("name", as: "a network's name", NetworkName.init) else {
      throw keys.invalid("name", "is missing")
    }
    self.name = name
    version = try NetworkList.version(keys)
    plugins = try keys.list("plugins") ?? [keys]
    guard !plugins.isEmpty else { throw keys.invalid("plugins", "is empty") }
    disableCheck = try keys.bool("disableCheck") ?? false
    disableGC = try keys.bool("disableGC") ?? false
  }

  /// The newest of `cniVersions` that we speak, else `cniVersion`.
  private static func version(_ keys: Keys) throws(CNIError) -> ProtocolVersion {
    let offered = try keys.strings("cniVersions") ?? []
    if let newest = offered.compactMap({ ProtocolVersion($0) }).max() { return newest }
    guard let text = try keys.string("cniVersion") else { return .v010 }
    guard let version = ProtocolVersion(text) else {
      throw CNIError(
        .incompatibleVersion, "key \"cniVersion\" is \"\(text)\": not supported",
        details: "supported: \(ProtocolVersion.list)")
    }
    return version
  }
}

/// One attachment as the runtime knows it.
struct RuntimeAttachment {
  let attachment: Attachment
  /// CNI_NETNS; empty where the namespace is gone.
  let namespace: String
  /// CNI_ARGS.
  let arguments: String
  /// What the runtime offers for each capability, by the capability's name.
  let capabilities: JSONObject
}
