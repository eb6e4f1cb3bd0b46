// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Node
import Routes
import System

/// A network in a configuration of the node, with the parts that the tool needs.
struct ConfiguredNetwork {
  /// The configuration's path.
  let file: String
  let list: NetworkList
  let name: NetworkName
  /// The bridge of its pods; nil if it has none.
  private(set) var bridge: InterfaceName?
  /// The VLAN of its pods; nil for none.
  private(set) var vlan: UInt16?
  /// The link that has the gateways' addresses: the bridge, or its link in a VLAN, which is missing for the
  /// bridge's own VLAN; nil if the network has neither.
  private(set) var gatewayLink: InterfaceName?
  /// Whether a plugin gives that link the gateways' addresses.
  private(set) var isGateway = false
  /// The folder of its leases; nil if another IPAM plugin has them.
  private(set) var leaseFolder: String?
  /// The pools of its leases; nil if they are not known.
  private(set) var pools: Pools?
  /// Whether humanz-ipam leases its addresses.
  private(set) var usesOurIPAM = false
  /// Whether a runtime may name further pools.
  private(set) var takesRuntimeRanges = false
  /// nil if it has no entry of humanz-route.
  private(set) var routed: RoutedNetwork?
  /// The files that its plugins log to.
  private(set) var logFiles: [String] = []
  /// Whether frames between its pods on one node must pass the node's firewall rules.
  private(set) var usesBridgeNetfilter = false
  /// Whether a plugin's type begins with `humanz-`, as the tutorial's also does, or humanz-ipam is the IPAM delegate.
  private(set) var isOurs = false

  /// - Parameter problems: a sentence is added for each part that cannot be read.
  init(_ list: NetworkList, file: String, _ problems: inout [String]) {
    self.file = file
    self.list = list
    name = list.name
    for plugin in list.plugins {
      do throws(CNIError) { try read(plugin, of: list) } catch {
        problems.append("\(file): \(error.sentence)")
      }
    }
    guard let bridge else { return }
    do throws(CNIError) { gatewayLink = try GatewayLink.name(on: bridge, vlan: vlan) } catch {
      if isGateway { problems.append("\(file): \(error.sentence)") }
    }
  }

  private mutating func read(_ plugin: Keys, of list: NetworkList) throws(CNIError) {
    guard let type = try plugin.string("type"), !type.isEmpty else {
      throw plugin.invalid("type", "is required: the plugin's name")
    }
    let section = try plugin.keys("ipam")
    logFiles.append(try plugin.string("logFile") ?? Log.defaultPath)
    let delegate = try section?.string("type") ?? ""
    usesOurIPAM = usesOurIPAM || type == "humanz-ipam" || delegate == "humanz-ipam"
    if plugin.object["capabilities"]?.object?["ipRanges"] != nil { takesRuntimeRanges = true }
    isOurs = isOurs || type.begins(with: "humanz-") || delegate == "humanz-ipam"
    if type == "humanz-bridge" || type == "bridge" {
      bridge =
        try plugin.parsed("bridge", as: "an interface name", InterfaceName.init)
        ?? InterfaceName("cni0")
      vlan = try plugin.int("vlan", in: 0...4094).flatMap { $0 == 0 ? nil : UInt16($0) }
      let isDefaultGateway = try plugin.bool("isDefaultGateway") ?? false
      isGateway = try plugin.bool("isGateway") ?? false || isDefaultGateway
      usesBridgeNetfilter = (try? plugin.bool("bridgeNetfilter")) ?? false
    }
    if type == "humanz-ipam" {
      isGateway = try (section ?? plugin).bool("isGateway") ?? true
      try readLeases(section ?? plugin, areOurs: true)
    } else if let section, delegate == "humanz-ipam" || delegate == "host-local" {
      try readLeases(section, areOurs: delegate == "humanz-ipam")
    }
    if type == "humanz-route", routed == nil {
      routed = try list.configurations(ofType: type).first.map { (configuration) throws(CNIError) in
        try RoutedNetwork(configuration)
      }
    }
  }

  private mutating func readLeases(_ keys: Keys, areOurs: Bool) throws(CNIError) {
    leaseFolder =
      areOurs
      ? try keys.absolutePath("dataDir") ?? LeaseFolder.ours
      : try keys.string("dataDir") ?? LeaseFolder.hostLocals
    var clusterFile: (path: String, subnets: [IPPrefix])?
    if let path = areOurs ? try keys.absolutePath("clusterFile") : try keys.string("clusterFile") {
      clusterFile = (path, try ClusterFile(path: path).subnets)
    }
    pools = try Pools(keys, clusterFile: clusterFile)
  }
}

extension CNIError {
  /// Whether the message names the configuration file: messages about reading the file or parsing its JSON do,
  /// those about a key do not.
  var namesFile: Bool { code == .io || code == .undecodable }

  /// The message, and the details if it has any.
  var sentence: String { details.isEmpty ? message : "\(message): \(details)" }
}

/// The networks in the node's configurations.
struct ConfiguredNetworks {
  /// The folder or the file that was read.
  let place: String
  /// Whether one file was read.
  let isFile: Bool
  private(set) var networks: [ConfiguredNetwork] = []
  /// The parts that could not be read, a sentence each.
  private(set) var problems: [String] = []
  /// Those of the problems because of which a whole file could not be read.
  private(set) var unread: [String] = []

  /// CNI_CONF_DIR, else the folder where runtimes look.
  static var folder: String { variable("CNI_CONF_DIR") ?? NetworkList.defaultFolder }

  /// Reads the folder of configurations, or one file.
  /// - Throws: if `file` cannot be read.
  init(
    file: String?, folder: String = ConfiguredNetworks.folder
  ) throws(CNIError) {
    place = file ?? folder
    isFile = file != nil
    if let file {
      try read(file, isNamed: true)
      return
    }
    for name in NetworkList.fileNames(in: place) {
      do throws(CNIError) { try read("\(place)/\(name)", isNamed: false) } catch {
        problems.append(error.sentence)
        unread.append(error.sentence)
      }
    }
  }

  private mutating func read(_ path: String, isNamed: Bool) throws(CNIError) {
    // Absolute, since messages name the file in commands, and a systemd unit has another working directory.
    let path = absolutePath(path)
    let list: NetworkList
    do throws(CNIError) { list = try NetworkList(path: path, isNamed: isNamed) } catch {
      throw CNIError(
        error.code, error.namesFile ? error.message : "\(path): \(error.message)",
        details: error.details)
    }
    networks.append(ConfiguredNetwork(list, file: path, &problems))
  }

  func named(_ name: NetworkName) -> ConfiguredNetwork? { networks.first { $0.name == name } }

  /// The networks that have routes.
  var routed: [ConfiguredNetwork] { networks.filter { $0.routed != nil } }

  /// The files that the plugins of these networks log to, each once.
  var logFiles: [String] {
    var files: [String] = []
    for file in networks.flatMap({ $0.logFiles }) where file.utf8.first == UInt8(ascii: "/") {
      if !files.contains(file) { files.append(file) }
    }
    return files
  }
}
