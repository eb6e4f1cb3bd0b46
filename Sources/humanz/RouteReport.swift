import Addresses
import CNI
import Embedded
import Leases
import Netfilter
import Netlink
import Node
import Routes

/// The node's routes and all else that packets between pods meet, as it is: a table of each, whose
/// rows are objects with the same members.
struct RouteReport {
  private var routes: [JSON] = []
  private var forwarding: [JSON] = []
  private var forward: [JSON] = []
  private var filters: [JSON] = []
  private var masquerade: [JSON] = []

  init(_ networks: [RoutedNetwork]) throws(CNIError) {
    let node = try Node()
    try readFirewalls(networks)
    try readRoutes(networks, node)
    for family in [IPAddress.Family.v4, .v6] {
      forwarding.append(
        row(
          ("family", "IPv\(family.version)"), ("state", Forwarding.isOn(family) ? "on" : "off")))
    }
  }

  // MARK: - Routes

  private mutating func readRoutes(
    _ networks: [RoutedNetwork], _ node: borrowing Node
  ) throws(CNIError) {
    let links = try node.kernel.links()
    var used: [LinkIndex] = []
    for network in networks {
      let name = network.name.description
      do throws(CNIError) {
        for finding in try NodeRoutes(network, node).findings(all: true, on: node) {
          append(finding, name, links, &used)
        }
      } catch {
        appendRoute(network: name, "-", via: [], [], "unknown", nil, error.message)
      }
    }
    for family in [IPAddress.Family.v4, .v6] where networks.isEmpty {
      for route in try node.kernel.routes(family, proto: Route.humanz) {
        append(NodeRoutes.Finding(.installed, nil, route), nil, links, &used)
      }
    }
    for link in links where used.contains(link.index) {
      filters.append(
        row(("device", link.name.description), ("mode", reversePathFilter(link.name))))
    }
  }

  private mutating func append(
    _ finding: NodeRoutes.Finding, _ network: String?, _ links: [Link], _ used: inout [LinkIndex]
  ) {
    let route = finding.route
    var (via, devices): ([JSON], [JSON]) = ([], [])
    for hop in route.nextHops {
      if let gateway = hop.gateway { via.append(.string(gateway.description)) }
      if let tunnel = hop.encapsulation {
        via.append(.string("vxlan to \(tunnel.destination)"))
      }
      guard let link = links.first(where: { $0.index == hop.device }) else { continue }
      devices.append(.string(link.isRunning ? link.name.description : "\(link.name) (down)"))
      used.append(link.index)
    }
    if via.isEmpty { via.append(.string(route.nextHops.isEmpty ? route.kind.name : "link")) }
    appendRoute(
      network: network, route.destination.description, via: via, devices,
      finding.state.description, finding.peer?.description, finding.message)
  }

  private mutating func appendRoute(
    network: String?, _ destination: String, via: [JSON], _ devices: [JSON], _ state: String,
    _ purpose: String?, _ problem: String
  ) {
    routes.append(
      .object(
        JSONObject(
          ("network", .string(network ?? "")), ("destination", .string(destination)),
          ("via", .array(via)), ("device", .array(devices)), ("state", .string(state)),
          ("for", .string(purpose ?? "")), ("problem", .string(problem)))))
  }

  /// How a link takes packets whose sender it would not answer by itself: of both settings the
  /// higher number counts. See the kernel's Documentation/networking/ip-sysctl.rst, `rp_filter`.
  private func reversePathFilter(_ link: InterfaceName) -> String {
    var mode = "off"
    for key in ["all", link.description] {
      let value = Sysctl.read("net/ipv4/conf/\(key)/rp_filter")
      if value == "2" { return "loose" }
      if value == "1" { mode = "strict" }
    }
    return mode
  }

  // MARK: - Firewalls

  private mutating func readFirewalls(_ networks: [RoutedNetwork]) throws(CNIError) {
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      let chains = try ForwardAccept.chains(socket)
      for chain in chains.accepting { appendForward(chain, "accept", []) }
      for chain in chains.dropping {
        var dropped: [JSON] = []
        for network in networks {
          let accept = ForwardAccept(
            network: network.name.description, prefixes: network.network)
          if try accept.droppingChains(socket).contains(chain) {
            dropped.append(.string(network.name.description))
          }
        }
        appendForward(chain, "drop", dropped)
      }
      for network in try Masquerade.networks(socket) {
        masquerade.append(row(("network", network)))
      }
    }
  }

  private mutating func appendForward(_ chain: String, _ policy: String, _ dropped: [JSON]) {
    forward.append(
      .object(
        JSONObject(
          ("chain", .string(chain)), ("policy", .string(policy)), ("drops", .array(dropped)))))
  }

  private func row(_ members: (String, String)...) -> JSON {
    var object = JSONObject()
    for (name, value) in members { object[name] = .string(value) }
    return .object(object)
  }

  // MARK: - Printing

  /// For a program.
  var json: JSON { .object(object) }

  private var object: JSONObject {
    JSONObject(
      ("routes", .array(routes)), ("forwarding", .array(forwarding)), ("forward", .array(forward)),
      ("reversePathFilter", .array(filters)), ("masquerade", .array(masquerade)))
  }

  /// For a person.
  var lines: [String] {
    var lines: [String] = []
    for table in object.members {
      let rows = table.value.array ?? []
      lines.append(rows.isEmpty ? "\(table.name): none" : "\(table.name):")
      var words: [[String]] = []
      for row in rows {
        let members = row.object?.members ?? []
        if words.isEmpty { words.append(members.map { $0.name }) }
        words.append(members.map { word($0.value) })
      }
      for line in textTable(words) { lines.append("  \(line)") }
    }
    return lines
  }

  private func word(_ value: JSON) -> String {
    var word = value.string ?? ""
    for element in value.array ?? [] { word += (word.isEmpty ? "" : ",") + (element.string ?? "") }
    return word.isEmpty ? "-" : word
  }
}
