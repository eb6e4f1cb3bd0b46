// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded
import Leases
import Node
import Routes
import Stages
import System

/// A configuration of another suite, converted to one of ours.
struct Conversion {
  private let list: NetworkList
  private var plugins: [JSON] = []
  /// What has no counterpart, and what is left to do: one sentence each.
  private(set) var notes: [String] = []

  init(_ list: NetworkList) { self.list = list }

  /// - Throws: error 2 if the list has no known plugin.
  mutating func convert() throws(CNIError) {
    var isKnown = false
    for plugin in list.plugins {
      let type = try plugin.string("type") ?? ""
      switch type {
      case "humanz-cni": try convertTutorial(plugin)
      case "bridge": try convertBridge(plugin)
      case "flannel": try convertFlannel(plugin)
      case "ptp" where "\(list.name)" == "kindnet": try convertPointToPoint(plugin)
      default:
        plugins.append(.object(plugin.withoutListKeys))
        continue
      }
      isKnown = true
    }
    guard isKnown else {
      throw CNIError(
        .unsupportedField, "no plugin of \(list.name) can be converted",
        details: "the tutorial's humanz-cni, bridge, flannel and kindnet's ptp can be")
    }
  }

  var conflist: JSON {
    // The reference plugins that distributions ship do not support 1.1.0.
    let versions = ["0.4.0", "1.0.0"] + (plugins.allSatisfy(Conversion.isOurs) ? ["1.1.0"] : [])
    return .object(
      JSONObject(
        ("cniVersion", .string("1.0.0")),
        ("cniVersions", .array(versions.map { .string($0) })),
        ("name", .string("\(list.name)")),
        ("disableCheck", list.disableCheck ? .bool(true) : nil),
        ("disableGC", list.disableGC ? .bool(true) : nil), ("plugins", .array(plugins))))
  }

  /// Whether a plugin and its delegate are of this suite.
  private static func isOurs(_ plugin: JSON) -> Bool {
    [plugin, plugin.object?["ipam"]].allSatisfy { section in
      section?.object?["type"]?.string?.utf8.starts(with: "humanz-".utf8) ?? true
    }
  }

  // MARK: - One plugin

  /// The tutorial's keys are `bridge`, `network` and `subnet`.
  private mutating func convertTutorial(_ plugin: Keys) throws(CNIError) {
    append("humanz-bridge", ("bridge", plugin.object["bridge"]))
    append("humanz-ipam", ("subnet", plugin.object["subnet"]))
    append("humanz-route", ("network", plugin.object["network"]), ("peers", .array([])))
    noteOtherKeys(plugin, ["bridge", "subnet", "network"])
    notes.append(
      "\"peers\" is empty: name the other nodes in it, each with \"subnet\" and \"via\"; the routes that were added by hand can go"
    )
    notes.append("remove the tutorial's file: runtimes take the first file by name")
  }

  /// The keys of the reference `bridge` and of host-local are ours too, and the leases stay.
  private mutating func convertBridge(_ plugin: Keys) throws(CNIError) {
    var object = plugin.withoutListKeys
    object["type"] = .string("humanz-bridge")
    for key in plugin.unknown(besides: [.ofEveryPlugin, StageKeys.bridge]) {
      object[key.name] = nil
      notes.append("the key \"\(key.path)\" of bridge has no counterpart")
    }
    if let section = try plugin.keys("ipam") {
      object["ipam"] = .object(try convertIPAM(section))
    }
    plugins.append(.object(object))
  }

  /// host-local's section with our plugin, using the same store.
  private mutating func convertIPAM(_ section: Keys) throws(CNIError) -> JSONObject {
    var object = section.object
    let type = try section.string("type") ?? ""
    guard type == "host-local" else {
      if !type.isEmpty { notes.append("the IPAM plugin \"\(type)\" stays") }
      return object
    }
    object["type"] = .string("humanz-ipam")
    object["dataDir"] = object["dataDir"] ?? .string(LeaseFolder.hostLocals)
    for key in section.unknown(besides: [.ofEveryPlugin, StageKeys.ipam]) {
      object[key.name] = nil
      notes.append("the key \"\(key.path)\" of host-local has no counterpart")
    }
    return object
  }

  /// flannel's daemon provides subnets and routes; with our plugins `humanz sync` does.
  private mutating func convertFlannel(_ plugin: Keys) throws(CNIError) {
    let delegate = try plugin.keys("delegate")
    noteOtherKeys(plugin, ["delegate", "subnetFile"])
    append(
      "humanz-bridge", ("bridge", delegate?.object["bridge"] ?? .string("cni0")),
      ("mtu", delegate?.object["mtu"]), ("hairpinMode", delegate?.object["hairpinMode"]))
    if let delegate {
      noteOtherKeys(delegate, ["bridge", "mtu", "hairpinMode", "isDefaultGateway", "isGateway"])
    }
    let file = try plugin.string("subnetFile") ?? "/run/flannel/subnet.env"
    appendCluster(network: flannelNetwork(file), ipMasq: true)
    if flannelNetwork(file).isEmpty {
      notes.append(
        "\(file) names no FLANNEL_NETWORK: put the cluster's pod network into \"network\"")
    }
    notes.append(
      "remove flannel's daemon; where it used vxlan, \"overlay\": \"off-link\" of humanz-route reaches nodes behind routers"
    )
  }

  private func flannelNetwork(_ file: String) -> [JSON] {
    guard let bytes = try? FileDescriptor.contents(of: file) else { return [] }
    var networks: [JSON] = []
    for line in String(decoding: bytes).fields(separatedBy: "\n") {
      let words = line.fields(separatedBy: "=")
      guard words.count == 2, ["FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK"].contains(words[0]) else {
        continue
      }
      networks += words[1].fields(separatedBy: ",").map { .string($0) }
    }
    return networks
  }

  /// kindnet: a point-to-point link for each pod, and a daemon that provides subnets and routes.
  private mutating func convertPointToPoint(_ plugin: Keys) throws(CNIError) {
    append("humanz-bridge", ("bridge", .string("cni0")), ("mtu", plugin.object["mtu"]))
    appendCluster(network: [], ipMasq: true)
    noteOtherKeys(plugin, ["mtu", "ipMasq", "ipam"])
    notes.append("put the cluster's pod network into \"network\"")
    notes.append("remove kindnet's daemon; `humanz sync` gives the node its subnet and its routes")
  }

  // MARK: - Ours

  private mutating func appendCluster(network: [JSON], ipMasq: Bool) {
    let file = JSON.string(ClusterFile.defaultPath)
    append("humanz-ipam", ("clusterFile", file))
    append(
      "humanz-route", ("network", network.count == 1 ? network[0] : .array(network)),
      ("clusterFile", file), ("ipMasq", .bool(ipMasq)))
    notes.append("`humanz sync --watch --node NAME --kubectl kubectl` must run on each node")
  }

  private mutating func append(_ type: String, _ members: (String, JSON?)...) {
    var object = JSONObject(("type", .string(type)))
    for (name, value) in members { object[name] = value }
    plugins.append(.object(object))
  }

  /// Adds a note for each key that was not taken over.
  private mutating func noteOtherKeys(_ keys: Keys, _ taken: [String]) {
    for member in keys.withoutListKeys.members where !(taken + ["type"]).contains(member.name) {
      notes.append("the key \"\(keys.path(of: member.name))\" has no counterpart")
    }
  }
}

extension Keys {
  /// The plugin's keys without those of a conflist: a file with a single plugin has both in one object.
  fileprivate var withoutListKeys: JSONObject {
    var object = object
    for key in ["cniVersion", "cniVersions", "name", "disableCheck", "disableGC"] {
      object[key] = nil
    }
    return object
  }
}
