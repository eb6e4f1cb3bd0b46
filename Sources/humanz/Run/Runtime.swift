// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Netlink
import Node
import System

/// Runs a network's plugins as libcni does (specification sections 3 and 4).
struct Runtime {
  let network: NetworkList
  private var cache: ResultCache { ResultCache(network: network.name) }

  /// The folders that are searched for plugins.
  private let searchPath: String
  private let version: ProtocolVersion

  init(network: NetworkList) {
    self.network = network
    searchPath = Runtime.defaultSearchPath
    version = network.version
  }

  /// Runs GC of our plugins without any valid attachment, whatever the network's version is.
  static func freeAll(of network: NetworkList, searchPath: String) throws(CNIError) {
    let runtime = Runtime(network: network, searchPath: searchPath, version: .v110)
    var ours: [Keys] = []
    for plugin in network.plugins {
      var object = plugin.object
      if !pluginNames.contains(type(plugin)) {
        // Another plugin may have no GC, or one that does not reach its delegate: humanz-ipam is called directly.
        guard object["ipam"]?.object?["type"]?.string == "humanz-ipam" else { continue }
        object["type"] = .string("humanz-ipam")
      }
      ours.append(plugin.replaced(by: object))
    }
    try runtime.runGC(ours, [], [])
  }

  private init(network: NetworkList, searchPath: String, version: ProtocolVersion) {
    self.network = network
    self.searchPath = searchPath
    self.version = version
  }

  /// Runs one verb of every plugin.
  /// - Parameters:
  ///   - attachment: the attachment of ADD, CHECK and DEL.
  ///   - valid: the attachments that GC keeps.
  /// - Returns: what to print; nil for nothing.
  func run(
    _ verb: Verb, _ attachment: RuntimeAttachment?, keeping valid: [Attachment]
  ) throws(CNIError) -> JSON? {
    switch (verb, attachment) {
    case (.add, let attachment?): return try add(attachment)
    case (.check, let attachment?): try check(attachment)
    case (.del, let attachment?): try del(attachment)
    case (.gc, _): try gc(keeping: valid)
    case (.version, _): return try versions()
    default: try status()
    }
    return nil
  }

  /// ADD in order; each plugin gets the result of the one before it, and the last result is kept.
  private func add(_ attachment: RuntimeAttachment) throws(CNIError) -> JSON {
    var result: JSON?
    for plugin in network.plugins {
      let printed = try run(.add, plugin, prevResult: result, attachment)
      do { result = try JSON(parsing: printed) } catch {
        throw CNIError(
          .undecodable, "plugin \(Runtime.type(plugin)) printed no result",
          details: error.description)
      }
    }
    let last = result ?? .object(JSONObject())
    try cache.store(last, for: attachment)
    return last
  }

  /// CHECK in order; each plugin gets the kept result.
  private func check(_ attachment: RuntimeAttachment) throws(CNIError) {
    try requires(.v040, "CHECK")
    guard !network.disableCheck else { return }
    guard let result = cache.load(attachment.attachment).map({ inVersion($0.result) }) else {
      throw CNIError(
        .unknownContainer,
        "no result of an ADD is kept for this attachment: `humanz run add` keeps it")
    }
    for plugin in network.plugins {
      _ = try run(.check, plugin, prevResult: result, attachment)
    }
  }

  /// DEL in reverse order; each plugin gets the kept result if there is one.
  private func del(_ attachment: RuntimeAttachment) throws(CNIError) {
    let result =
      version >= .v040 ? cache.load(attachment.attachment).map { inVersion($0.result) } : nil
    for plugin in network.plugins.reversed() {
      _ = try run(.del, plugin, prevResult: result, attachment)
    }
    cache.remove(attachment.attachment)
  }

  /// DEL of the kept attachments that are not valid, as in libcni, then GC of every plugin. An error does not
  /// stop it.
  private func gc(keeping valid: [Attachment]) throws(CNIError) {
    try requires(.v110, "GC")
    guard !network.disableGC else { return }
    let attachments = valid.map {
      JSON.object(
        JSONObject(
          ("containerID", .string($0.containerID.description)),
          ("ifname", .string($0.interface.description))))
    }
    var errors: [CNIError] = []
    for attachment in cache.attachments() where !valid.contains(attachment) {
      guard let kept = cache.load(attachment) else { continue }
      do throws(CNIError) { try del(kept.attachment) } catch { errors.append(error) }
    }
    try runGC(network.plugins, attachments, errors)
  }

  /// - Parameter errors: the errors before GC.
  private func runGC(
    _ plugins: [Keys], _ attachments: [JSON], _ errors: [CNIError]
  ) throws(CNIError) {
    var errors = errors
    for plugin in plugins {
      var object = plugin.object
      object["cni.dev/valid-attachments"] = .array(attachments)
      do throws(CNIError) {
        _ = try run(.gc, plugin.replaced(by: object), prevResult: nil, nil)
      } catch {
        errors.append(error)
      }
    }
    if let error = CNIError.combined(errors) { throw error }
  }

  private func status() throws(CNIError) {
    try requires(.v110, "STATUS")
    for plugin in network.plugins { _ = try run(.status, plugin, prevResult: nil, nil) }
  }

  /// Each plugin's answer to VERSION, by its type.
  private func versions() throws(CNIError) -> JSON {
    var answers = JSONObject()
    for plugin in network.plugins {
      let printed = try run(.version, plugin, prevResult: nil, nil)
      answers[Runtime.type(plugin)] = try? JSON(parsing: printed)
    }
    return .object(answers)
  }

  private func requires(_ version: ProtocolVersion, _ verb: String) throws(CNIError) {
    guard self.version >= version else {
      throw CNIError(
        .incompatibleVersion, "\(verb) needs cniVersion \(version) or newer",
        details: "the conflist says \(self.version)")
    }
  }

  // MARK: One plugin

  private func run(
    _ verb: Verb, _ plugin: Keys, prevResult: JSON?, _ attachment: RuntimeAttachment?
  ) throws(CNIError) -> [UInt8] {
    let type = Runtime.type(plugin)
    do throws(CNIError) {
      let configuration = try request(plugin, prevResult: prevResult, attachment)
      return try PluginExecutable(type, searchPath: searchPath).run(
        input: configuration.text,
        environment: [
          ("CNI_COMMAND", verb.rawValue), ("CNI_PATH", searchPath),
          ("CNI_CONTAINERID", attachment?.attachment.containerID.description ?? ""),
          ("CNI_NETNS", attachment?.namespace ?? ""),
          ("CNI_IFNAME", attachment?.attachment.interface.description ?? ""),
          ("CNI_ARGS", attachment?.arguments ?? ""),
        ])
    } catch {
      throw CNIError(
        error.code, "plugin type=\"\(type)\" failed (\(verb.rawValue)): \(error.message)",
        details: error.details)
    }
  }

  /// The configuration for one call (section 3, "Deriving request configuration").
  private func request(
    _ plugin: Keys, prevResult: JSON?, _ attachment: RuntimeAttachment?
  ) throws(CNIError) -> JSON {
    var object = plugin.object
    object["name"] = .string(network.name.description)
    object["cniVersion"] = .string(version.description)
    object["prevResult"] = prevResult
    object["capabilities"] = nil
    if let attachment, let declared = try plugin.keys("capabilities") {
      var runtimeConfig = JSONObject()
      for offer in attachment.capabilities.members where try declared.bool(offer.name) == true {
        runtimeConfig[offer.name] = offer.value
      }
      if !runtimeConfig.isEmpty { object["runtimeConfig"] = .object(runtimeConfig) }
    }
    return .object(object)
  }

  /// A kept result with the conflist's present `cniVersion`, which may differ from that of the ADD. From 0.3.0 on,
  /// results of different versions differ only in keys that a reader of another version ignores.
  private func inVersion(_ result: JSON) -> JSON {
    guard var object = result.object, object["ip4"] == nil, object["ip6"] == nil else {
      return result
    }
    object["cniVersion"] = .string(version.description)
    return .object(object)
  }

  private static func type(_ plugin: Keys) -> String { plugin.object["type"]?.string ?? "" }

  /// The folders in which distributions install plugins.
  static var usualFolders: [String] { ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"] }

  /// This program's folder and the usual ones.
  static var ownAndUsualFolders: [String] { (executableFolder().map { [$0] } ?? []) + usualFolders }

  /// CNI_PATH, else this program's folder and the usual ones.
  static var defaultSearchPath: String {
    variable("CNI_PATH") ?? ownAndUsualFolders.joined(separator: ":")
  }
}
