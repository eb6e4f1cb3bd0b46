// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Netlink
import Node
import Routes
import Stages

/// The mistakes in one configuration, and what on the node does not fit it.
struct Lint {
  private(set) var findings: [LintFinding] = []
  /// The network's name; nil if the file cannot be read.
  private(set) var name: NetworkName?
  /// The path of the key `peers` of humanz-route.
  private var peersKey = ""
  private let file: String
  private let surroundings: LintSurroundings

  /// - Parameter isNamed: whether the user named the file; see `NetworkList`.
  init(file: String, isNamed: Bool, _ surroundings: LintSurroundings) {
    self.file = file
    self.surroundings = surroundings
    let list: NetworkList
    do throws(CNIError) { list = try NetworkList(path: file, isNamed: isNamed) } catch {
      addError(error.sentence, namesFile: error.namesFile)
      return
    }
    name = list.name
    checkVersion(list)
    for plugin in list.plugins { check(plugin) }
    var problems: [String] = []
    let network = ConfiguredNetwork(list, file: "", &problems)
    // The file's name is empty here, so each sentence begins with ": ".
    for problem in problems {
      addError(problem.dropping(bytes: 2))
    }
    if network.usesBridgeNetfilter, !BridgeNetfilter.isLoaded {
      addError(BridgeNetfilter.advice)
    }
    checkSubnets(network)
    checkGateways(network)
    checkPeers(network)
    checkOrder()
  }

  /// Adds an error: a mistake that keeps pods from working.
  private mutating func addError(_ sentence: String, namesFile: Bool = false) {
    findings.append(
      LintFinding(file: file, isError: true, sentence: sentence, namesFile: namesFile))
  }

  /// Adds a warning: something that may be intended.
  private mutating func addWarning(_ sentence: String) {
    findings.append(LintFinding(file: file, isError: false, sentence: sentence))
  }

  // MARK: - Keys

  private mutating func check(_ plugin: Keys) {
    let type = plugin.object["type"]?.string ?? ""
    let section = (try? plugin.keys("ipam")) ?? nil
    switch type {
    case "humanz-bridge":
      checkKeys(plugin, [.ofEveryPlugin, StageKeys.bridge])
      checkKeys(of: plugin, "vlanTrunk", StageKeys.vlanTrunk)
    case "humanz-ipam": checkIPAM(plugin)
    case "humanz-route":
      checkKeys(plugin, [.ofEveryPlugin, StageKeys.route])
      checkKeys(of: plugin, "peers", StageKeys.peer)
      peersKey = plugin.path(of: "peers")
      checkKeys(of: plugin, "routes", StageKeys.podRoute)
    case "humanz-cni":
      addError(
        "\"type\": \"humanz-cni\" is the tutorial's plugin: convert it with `humanz convert`"
      )
    default: break
    }
    // `ConfiguredNetwork` reports an entry without a type.
    if !type.isEmpty { checkExecutable(type) }
    guard let section else { return }
    let delegate = section.object["type"]?.string ?? ""
    if type == "humanz-ipam" || delegate == "humanz-ipam" { checkIPAM(section) }
    if !delegate.isEmpty { checkExecutable(delegate) }
  }

  /// Checks the keys of humanz-ipam, in its own entry or in another plugin's section `ipam`.
  private mutating func checkIPAM(_ keys: Keys) {
    checkKeys(keys, [.ofEveryPlugin, StageKeys.ipam])
    checkKeys(of: keys, "routes", StageKeys.podRoute)
    for range in keys.readableRanges { checkKeys(range, [StageKeys.range]) }
  }

  private mutating func checkKeys(_ keys: Keys, _ known: [KnownKeys]) {
    for key in keys.unknown(besides: known) {
      // The stages refuse a key that looks mistyped, and ignore other unknown keys.
      let hint = key.meant.map { "; did you mean \"\($0)\"?" } ?? ""
      let sentence = "key \"\(key.path)\" is unknown\(hint)"
      if key.meant == nil { addWarning(sentence) } else { addError(sentence) }
    }
  }

  private mutating func checkKeys(of keys: Keys, _ key: String, _ known: KnownKeys) {
    for element in (try? keys.list(key)) ?? [] { checkKeys(element, [known]) }
  }

  // MARK: - The node

  private mutating func checkExecutable(_ type: String) {
    guard surroundings.has(type, in: surroundings.folders) else {
      let folders = surroundings.folders.joined(separator: ":")
      addError("the plugin \"\(type)\" is in none of the folders \(folders)")
      return
    }
    for runtime in surroundings.runtimes where !surroundings.has(type, in: runtime.folders) {
      let folders = runtime.folders.joined(separator: ":")
      addWarning("\(runtime.name) looks for the plugin \"\(type)\" in \(folders), where it is not")
    }
  }

  private mutating func checkVersion(_ list: NetworkList) {
    if let (runtime, version) = surroundings.runtimeVersion, list.declaredVersion > version {
      addError(
        "\"cniVersion\" is \(list.declaredVersion), but \(runtime) supports up to \(version): set \"cniVersion\" to \(version), and list newer versions in \"cniVersions\""
      )
    }
    if let (runtime, _) = surroundings.runtimeVersion,
      runtime.begins(with: "containerd 1."),
      !surroundings.has("loopback", in: surroundings.containerdFolders)
    {
      let folders = surroundings.containerdFolders.joined(separator: ":")
      addError("\(runtime) needs the plugin \"loopback\", which is not in \(folders)")
    }
  }

  /// Reports a subnet in which another link has an address: packets to its pods would leave by that link. A wider
  /// subnet of another link does no harm.
  private mutating func checkSubnets(_ network: ConfiguredNetwork) {
    guard let node = try? Node(), let links = try? node.kernel.links(),
      let addresses = try? node.kernel.addresses()
    else { return }
    for range in network.pools?.sets.flatMap({ $0.ranges }) ?? [] {
      for address in addresses where range.subnet.contains(address.prefix.address) {
        guard let link = links.first(where: { $0.index == address.index }), network.bridge != nil,
          link.name != network.gatewayLink,
          // VLAN 1 is the bridge's own.
          network.vlan != 1 || link.name != network.bridge
        else { continue }
        addError("the subnet \(range.subnet) overlaps with \(address.prefix) on \(link.name)")
      }
    }
  }

  /// Warns of a gateway outside its subnet. It is accepted, as by host-local, but a pod reaches it only with a
  /// further route.
  private mutating func checkGateways(_ network: ConfiguredNetwork) {
    for range in network.pools?.sets.flatMap({ $0.ranges }) ?? [] {
      guard let gateway = range.gateway, !range.subnet.contains(gateway) else { continue }
      addWarning("the gateway \(gateway) is outside of the subnet \(range.subnet)")
    }
  }

  /// Reports a peer that has addresses of this node's own pods, unless it is this node's own entry in a list that all
  /// nodes share: ADD leaves that one out.
  private mutating func checkPeers(_ network: ConfiguredNetwork) {
    guard let routed = network.routed, routed.clusterFile == nil, let peers = try? routed.peers(),
      let node = try? Node(), let addresses = try? node.kernel.addresses()
    else { return }
    for (index, peer) in peers.peers.enumerated() where !peer.isThisNode(addresses) {
      for range in network.pools?.sets.flatMap({ $0.ranges }) ?? []
      where range.subnet.contains(peer.subnet) {
        addError(
          "key \"\(peersKey)[\(index)].subnet\" is \(peer.subnet), which overlaps with this node's own subnet \(range.subnet): remove this peer, or correct its \"subnet\" or \"via\""
        )
      }
    }
  }

  private mutating func checkOrder() {
    let folder = ConfiguredNetworks.folder
    guard let first = NetworkList.fileNames(in: folder).first,
      file.begins(with: "\(folder)/"), file != "\(folder)/\(first)"
    else { return }
    addWarning("runtimes take the first file by name, which is \(folder)/\(first)")
  }
}
