// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netfilter
import Netlink
import Node
import Routes

/// The node's routes, forwarding and firewalls: everything that packets between pods pass.
struct RouteReport {
  /// A destination and its state.
  struct Row {
    /// nil for our route that no configuration asks for.
    let network: NetworkName?
    let destination: String
    /// The gateways, and `by vxlan to ADDRESS` for a tunnel; `link` if there are neither; the kind of a route
    /// without next hops.
    let via: [String]
    let devices: [String]
    let state: String
    /// The other node's name, or else its address; nil if the route leads to no other node.
    var peer: String?
    /// What the route is for; nil if it is not needed.
    let purpose: String?
    /// What is wrong, in a sentence; nil if nothing is.
    let problem: String?
  }

  private(set) var rows: [Row] = []
  /// What is wrong with routes, forwarding and firewalls, a sentence each.
  private(set) var problems: [String] = []
  /// The problems that a command repairs, and the command.
  private var remedies: [(problem: String, command: String)] = []
  /// The commands that a problem names already: each is named once.
  private var advised: [String] = []
  private(set) var forwarding: [JSON] = []
  private(set) var forwardChains: [JSON] = []
  private(set) var reversePathFilters: [JSON] = []
  private(set) var masquerade: [JSON] = []

  init(_ configured: ConfiguredNetworks) throws(CNIError) {
    let node = try Node()
    let networks = configured.networks.compactMap { $0.routed }
    try readRoutes(configured, node)
    readForwarding(networks)
    try readFirewalls(networks)
  }

  // MARK: - Routes

  private mutating func readRoutes(
    _ configured: ConfiguredNetworks, _ node: borrowing Node
  ) throws(CNIError) {
    let links = try node.kernel.links()
    var used: [LinkIndex] = []
    for network in configured.networks where network.routed != nil || network.isOurs {
      do throws(CNIError) {
        let own = try OwnSubnets(of: network, node)
        for finding in try network.nodeRoutes(own.prefixes, node).findings(all: true, on: node)
        where network.routed != nil || !finding.message.isEmpty {
          append(finding, network, own.prefixes, links, &used)
        }
        for (subnet, problem) in own.unserved {
          append(
            Row(
              network: network.name, destination: "\(subnet)", via: ["link"],
              devices: own.link.map { [$0.nameAndState] } ?? [], state: "missing",
              purpose: "this node's pods", problem: problem))
        }
      } catch {
        append(
          Row(
            network: network.name, destination: "", via: [], devices: [], state: "unknown",
            purpose: nil, problem: error.message))
      }
    }
    for family in [IPAddress.Family.v4, .v6] where configured.routed.isEmpty {
      for route in try node.kernel.routes(family, proto: Route.humanz) {
        append(NodeRoutes.Finding(.installed, nil, route), nil, [], links, &used)
      }
    }
    for link in links where used.contains(link.index) {
      reversePathFilters.append(
        stringObject(("device", link.name.description), ("mode", reversePathFilter(link.name))))
    }
  }

  private mutating func append(_ row: Row, remedy: String? = nil) {
    rows.append(row)
    if let words = row.problem {
      let problem = row.network.map { "\($0): \(words)" } ?? words
      problems.append(problem)
      if let remedy { remedies.append((problem, remedy)) }
    }
  }

  /// The command that repairs a problem, or else the one that shows more.
  func remedy(of problem: String) -> String {
    remedies.first { $0.problem == problem }?.command ?? "humanz routes"
  }

  /// - Parameter own: the subnets of this node's own pods; empty if they are not known.
  private mutating func append(
    _ finding: NodeRoutes.Finding, _ network: ConfiguredNetwork?, _ own: [IPPrefix],
    _ links: [Link], _ used: inout [LinkIndex]
  ) {
    let route = finding.route
    var (via, devices): ([String], [String]) = ([], [])
    var deletion = "ip route del \(route.destination)"
    for hop in route.nextHops {
      if let gateway = hop.gateway { via.append(gateway.description) }
      if let tunnel = hop.encapsulation { via.append("by vxlan to \(tunnel.destination)") }
      if route.nextHops.count == 1, let gateway = hop.gateway { deletion += " via \(gateway)" }
      guard let link = links.first(where: { $0.index == hop.device }) else { continue }
      if route.nextHops.count == 1 { deletion += " dev \(link.name)" }
      devices.append(link.nameAndState)
      used.append(link.index)
    }
    if via.isEmpty { via.append(route.nextHops.isEmpty ? route.kind.name : "link") }
    // The kernel makes a route for each address of a link. Without a peer it is the route to this node's own pods
    // if it is inside of an own subnet, otherwise to an uplink's segment.
    let isFromKernel = route.proto == Route.kernel
    let isForOwn =
      isFromKernel && finding.peer == nil
      && (own.isEmpty || own.contains { $0.contains(route.destination) })
    let isOwn = finding.state == .foreign && isForOwn
    var problem = finding.message.isEmpty ? nil : namingDevices(finding.message, links)
    if finding.state == .conflicting, route.proto != Route.humanz, !isFromKernel,
      let words = problem
    {
      problem = "\(words); if nobody needs it: `\(deletion)`"
    }
    var command: String?
    if finding.isRepairable, let network {
      // No ADD and no sync looks after the routes of a network without humanz-route.
      command =
        network.routed == nil && finding.state == .stale
        ? deletion : repairCommand(for: route, of: network, links)
    }
    if let command, let words = problem, finding.state != .stale,
      !advised.contains(command)
    {
      advised.append(command)
      problem = "\(words); `\(command)` makes it now\(network?.keeper ?? "")"
    }
    append(
      Row(
        network: network?.name, destination: route.destination.description, via: via,
        devices: devices,
        state: isOwn ? "own subnet" : finding.state.description,
        peer: finding.peer.flatMap { $0.name ?? $0.via.first?.description },
        purpose: isForOwn ? "this node's pods" : finding.peer?.description,
        problem: problem), remedy: command)
  }

  /// The command that repairs a route.
  private func repairCommand(
    for route: Route, of network: ConfiguredNetwork, _ links: [Link]
  ) -> String? {
    if network.routed != nil { return "humanz sync \(network.file)" }
    // A network without humanz-route has only the kernel's route to its own pods.
    let device = route.nextHops.first?.device
    guard let link = links.first(where: { $0.index == device }) else { return nil }
    let source = route.source.map { " src \($0)" } ?? ""
    let metric = route.priority.map { " metric \($0)" } ?? ""
    return "ip route add \(route.destination) dev \(link.name) proto kernel\(source)\(metric)"
  }

  /// A link's rp_filter mode: the higher of the values in `conf/all` and in `conf/LINK` counts. See
  /// `rp_filter` in the kernel's Documentation/networking/ip-sysctl.rst.
  private func reversePathFilter(_ link: InterfaceName) -> String {
    var mode = "off"
    for key in ["all", link.description] {
      let value = Sysctl.read("net/ipv4/conf/\(key)/rp_filter")
      if value == "2" { return "loose" }
      if value == "1" { mode = "strict" }
    }
    return mode
  }

  // MARK: - Forwarding and firewalls

  private mutating func readForwarding(_ networks: [RoutedNetwork]) {
    for family in [IPAddress.Family.v4, .v6] {
      let isOn = Forwarding.isOn(family)
      forwarding.append(
        stringObject(("family", "IPv\(family.version)"), ("state", isOn ? "on" : "off")))
      if !isOn, networks.contains(where: { $0.families.contains(family) }) {
        let key = family == .v4 ? "ipv4.ip_forward" : "ipv6.conf.all.forwarding"
        let advice = "`sysctl -w net.\(key)=1` turns it on"
        problems.append(
          "forwarding of IPv\(family.version) is off: "
            + (family == .v6 && !Node.hasIPv6 ? "the kernel was started without IPv6" : advice))
      }
    }
  }

  private mutating func readFirewalls(_ networks: [RoutedNetwork]) throws(CNIError) {
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      for chain in try ForwardChain.all(socket) {
        var dropped: [String] = []
        for network in networks where chain.drops && network.forward {
          let accept = ForwardAccept(
            network: network.name.description, prefixes: network.network)
          if try accept.droppingChains(socket).contains(chain.name) {
            dropped.append(network.name.description)
            // It fails if the chain belongs to another process.
            problems.append(
              "\(network.name): \(chain.name) drops the network's packets by its policy: the next ADD tries to add rules that accept them"
            )
          }
        }
        for network in networks
        where chain.rules == .dropAll && network.families.contains(where: chain.families.contains) {
          dropped = dropped.filter { $0 != "\(network.name)" } + ["\(network.name)"]
          problems.append(
            "\(network.name): a rule of \(chain.name) drops every packet: add a rule before it that accepts the network's packets"
          )
        }
        forwardChains.append(
          .object(
            JSONObject(
              ("chain", .string(chain.name)), ("policy", .string(chain.drops ? "drop" : "accept")),
              ("rules", .string(chain.rules.words)),
              ("drops", .array(dropped.map { .string($0) })))))
      }
      for network in try Masquerade.networks(socket) {
        masquerade.append(stringObject(("network", network)))
      }
    }
  }
}

extension ConfiguredNetwork {
  /// What keeps its routes, as the rest of a sentence; empty for a network without routes.
  fileprivate var keeper: String {
    guard let routed else { return "" }
    if routed.clusterFile != nil { return ", and `systemctl enable --now humanz-sync` keeps it" }
    // The unit's own default.
    let setting =
      file.isSame(as: "\(NetworkList.defaultFolder)/10-humanz.conflist")
      ? "" : " with CONFLIST=\(file) in /etc/default/humanz-routes"
    return ", and `systemctl enable --now humanz-routes`\(setting) keeps it"
  }
}

extension Link {
  fileprivate var nameAndState: String { isRunning ? "\(name)" : "\(name) (down)" }
}

extension ForwardChain.Rules {
  fileprivate var words: String {
    switch self {
    case .pass: ""
    case .dropAll: "drop all"
    case .dropRest: "drop the rest"
    }
  }
}

/// The message with each device's name: a route describes devices by their index.
func namingDevices(_ message: String, _ links: [Link]) -> String {
  var words = message.fields(separatedBy: " ", omittingEmpty: false)
  for index in words.indices.dropFirst() where words[index - 1] == "number" {
    let word = words[index]
    let isInSentence = word.ends(with: ",") || word.ends(with: ":")
    let number = word.keeping(bytes: word.utf8.count - (isInSentence ? 1 : 0))
    if let link = links.first(where: { "\($0.index)" == number }) {
      words[index - 1] = ""
      words[index] = "\(link.name)\(word.dropping(bytes: number.utf8.count))"
    }
  }
  return words.filter { !$0.isEmpty }.joined(separator: " ")
}
