// SPDX-License-Identifier: Apache-2.0
import Addresses
import Embedded

/// The configuration that a runtime gives to one plugin on stdin.
///
/// Source: specification section 1, "Network configuration format", and section 3, "Deriving request
/// configuration from plugin configuration".
public struct NetworkConfiguration {
  /// All keys, also those that we do not know.
  public let keys: Keys
  /// `cniVersion`; 0.1.0 if it is absent or empty.
  public let version: ProtocolVersion
  /// `name`: the network's name, which is required.
  public let name: NetworkName
  /// The plugin that the configuration is for; empty if the key is absent. A delegate finds its caller's name
  /// here.
  public let type: String
  /// The log that `logFile` asks for; the default one if the key is absent or not a string. See
  /// `Invocation`: DEL and GC accept a `logFile` of another type.
  public let log: Log

  /// Reads the keys that every plugin needs.
  /// - Throws: error 6 for what is not a JSON object, 1 for a version that is not supported, 7 for a key.
  public init(parsing text: [UInt8]) throws(CNIError) {
    try self.init(Keys(try NetworkConfiguration.object(parsing: text)))
  }

  /// The JSON object on a plugin's stdin.
  static func object(parsing text: [UInt8]) throws(CNIError) -> JSONObject {
    guard text.contains(where: { $0 > 0x20 }) else {
      throw CNIError(.undecodable, "stdin is empty, expected the network configuration as JSON")
    }
    let json: JSON
    do { json = try JSON(parsing: text) } catch {
      throw CNIError(
        .undecodable, "the network configuration on stdin is not JSON", details: error.description)
    }
    guard let object = json.object else {
      throw CNIError(
        .undecodable, "the network configuration on stdin is \(json.kind), not an object")
    }
    return object
  }

  init(_ keys: Keys) throws(CNIError) {
    self.keys = keys
    let version = try NetworkConfiguration.version(keys)
    self.version = version
    guard
      let name = try keys.parsed(
        "name", as: NetworkName.expected, NetworkName.init)
    else { throw keys.invalid("name", "is required: the network's name") }
    self.name = name
    type = try keys.string("type") ?? ""
    log = Log(path: (try? keys.string("logFile")) ?? Log.defaultPath)
  }

  /// The result of the plugin before this one, or of ADD in a DEL or CHECK; nil if there is none.
  /// - Throws: error 7 naming the key that cannot be read.
  public func prevResult() throws(CNIError) -> CNIResult? {
    try keys.keys("prevResult").map { (result) throws(CNIError) in
      try CNIResult(result, version: version)
    }
  }

  /// The readable parts of the previous result, for DEL and GC: a later plugin may have added values that
  /// ADD refuses. nil if `prevResult` is absent or not an object; if nothing in it can be read, an empty result.
  public var readablePrevResult: CNIResult? {
    guard let result = try? keys.keys("prevResult") else { return nil }
    return CNIResult(readable: result, version: version)
  }

  /// The protocol version of a configuration or a result; a missing one means 0.1.0.
  static func version(_ keys: Keys) throws(CNIError) -> ProtocolVersion {
    guard let text = try keys.string("cniVersion"), !text.isEmpty else { return .v010 }
    guard let version = ProtocolVersion(text) else {
      throw CNIError(
        .incompatibleVersion,
        "key \"\(keys.path(of: "cniVersion"))\" is \"\(text)\", which is not supported",
        details: "the input says \(text), the plugin supports \(ProtocolVersion.list)")
    }
    return version
  }

  /// The `ipam` section; nil if it is absent or has no `type`: then the pod gets no addresses.
  /// - Throws: error 7 if it is not an object, or its `type` not a string.
  public var ipam: Keys? {
    get throws(CNIError) {
      guard let ipam = try keys.keys("ipam"), let type = try ipam.string("type"), !type.isEmpty
      else { return nil }
      return ipam
    }
  }

  /// The runtime's values for a capability; nil if there are none, or if there is an object `capabilities`
  /// that does not declare this one. Section 3.
  /// - Returns: the keys of `runtimeConfig`, among them the capability's.
  /// - Throws: error 7 naming the key.
  public func runtimeConfig(_ capability: String) throws(CNIError) -> Keys? {
    guard let runtimeConfig = try keys.keys("runtimeConfig"), runtimeConfig.has(capability) else {
      return nil
    }
    if let declared = try keys.keys("capabilities"), try declared.bool(capability) != true {
      return nil
    }
    return runtimeConfig
  }

  /// The `args.cni` object; nil if it is absent. Its keys override CNI_ARGS.
  /// - Throws: error 7 if `args` or `args.cni` is not an object.
  public var cniArguments: Keys? {
    get throws(CNIError) { try keys.keys("args")?.keys("cni") }
  }

  /// The attachments that GC keeps (section 2, "GC"); nil if the key is absent. libcni writes a list
  /// without attachments as `null`.
  /// - Throws: error 7 for an entry whose container ID or interface name is missing or invalid.
  public func validAttachments() throws(CNIError) -> [Attachment]? {
    if case .null? = keys.object["cni.dev/valid-attachments"] { return [] }
    return try keys.list("cni.dev/valid-attachments")?.map { (entry) throws(CNIError) in
      guard
        let containerID = try entry.parsed("containerID", as: "a container ID", ContainerID.init)
      else { throw entry.invalid("containerID", "is missing") }
      guard
        let interface = try entry.parsed(
          "ifname", as: "an interface name of at most 15 bytes", InterfaceName.init)
      else { throw entry.invalid("ifname", "is missing") }
      return Attachment(containerID: containerID, interface: interface)
    }
  }
}
