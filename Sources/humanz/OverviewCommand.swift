// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Netlink
import Node
import Routes
import System

/// `humanz` alone: prints the state of the node on one screen.
/// - Returns: 1 if something is wrong.
func showOverview(_ arguments: Arguments) throws(CNIError) -> Int32 {
  let overview = try Overview()
  if arguments.has("--json") {
    try Output.print(overview.json)
  } else {
    try Output.print(overview.lines(wide: arguments.has("--wide")))
  }
  return overview.problems.isEmpty ? 0 : 1
}

/// The node's networks, the problems, and what to do first.
struct Overview {
  /// A problem, and the command that shows or repairs it.
  struct Problem {
    let sentence: String
    let remedy: String
  }

  fileprivate struct Row {
    let network: NetworkName
    /// nil for a network that is in no configuration any more.
    let configured: ConfiguredNetwork?
    let ports: Int
    let leases: LeaseReport?
    let routes: Int
    let wrongRoutes: Int
  }

  private var rows: [Row] = []
  /// The most severe one first.
  private(set) var problems: [Problem] = []

  init() throws(CNIError) {
    let configured = try ConfiguredNetworks(file: nil)
    let ports = try PortReport(configured).ports
    let routes = try RouteReport(configured)
    let reports = try Overview.leases(configured)
    for name in Overview.names(configured, ports, reports) {
      let ofNetwork = routes.rows.filter { $0.network == name }
      rows.append(
        Row(
          network: name, configured: configured.named(name),
          ports: ports.count { $0.network == name },
          leases: reports.first { $0.name == name }?.report,
          routes: ofNetwork.count, wrongRoutes: ofNetwork.count { $0.problem != nil }))
    }
    addProblems(configured, routes, ports, reports)
  }

  /// The leases of each network of ours.
  static func leases(
    _ configured: ConfiguredNetworks
  ) throws(CNIError) -> [(name: NetworkName, report: LeaseReport)] {
    var reports: [(name: NetworkName, report: LeaseReport)] = []
    for place in try LeaseStores(folder: nil, configured).places {
      // A store that only another plugin's configuration names is not ours.
      if let network = configured.named(place.network), !network.isOurs { continue }
      if let report = (try? LeaseReport(place, configured.named(place.network))) ?? nil {
        reports.append((place.network, report))
      }
    }
    for network in configured.networks where network.isOurs && network.leaseFolder != nil {
      if !reports.contains(where: { $0.name == network.name }) {
        reports.append((network.name, LeaseReport(unused: network)))
      }
    }
    return reports
  }

  /// The networks in configurations first, in a runtime's order.
  private static func names(
    _ configured: ConfiguredNetworks, _ ports: [Port],
    _ reports: [(name: NetworkName, report: LeaseReport)]
  ) -> [NetworkName] {
    var names: [NetworkName] = []
    let all =
      configured.networks.filter { $0.isOurs }.map { $0.name } + ports.compactMap { $0.network }
      + reports.map { $0.name }
    for name in all where !names.contains(name) { names.append(name) }
    return names
  }

  // MARK: - What is wrong

  private mutating func addProblems(
    _ configured: ConfiguredNetworks, _ routes: RouteReport, _ ports: [Port],
    _ reports: [(name: NetworkName, report: LeaseReport)]
  ) {
    let errors = Overview.configurationErrors
    if let first = errors.first {
      let count = errors.count == 1 ? "1 error" : "\(errors.count) errors"
      add(
        "\(count) in the configurations\(errors.count == 1 ? "" : ", the first"): \(first)",
        "humanz lint")
    }
    if !configured.networks.contains(where: { $0.isOurs }), configured.problems.isEmpty {
      add(
        "no configuration in \(configured.place) names a plugin of humanz",
        exampleAdvice(for: configured.place))
    }
    if configured.networks.contains(where: { $0.usesBridgeNetfilter }), !BridgeNetfilter.isLoaded {
      add(BridgeNetfilter.advice, "modprobe br_netfilter")
    }
    for row in rows {
      for pool in row.leases?.usage ?? [] where pool.isFull {
        add(
          "\(row.network): every address of \(pool.set) is leased", "humanz leases \(row.network)")
      }
    }
    for port in UnleasedPorts(among: ports, configured).ports {
      guard let network = port.network, let attachment = port.attachment else { continue }
      add(
        "port \(port.link.name): its pod has no lease of network \(network), so another pod may get its address",
        "delete the pod of container \(attachment.containerID), and start it again")
    }
    for problem in OldAddresses(configured, reports, ports).problems { problems.append(problem) }
    for problem in routes.problems { add(problem, routes.remedy(of: problem)) }
    for port in ports where port.attachment != nil {
      if let problem = port.problem, let attachment = port.attachment {
        add("port \(port.link.name) of \(attachment.title): \(problem)", "humanz ports")
      }
    }
  }

  /// What `humanz lint` finds, without the warnings and without what has a remedy of its own here.
  private static var configurationErrors: [String] {
    lint(configurationFiles(), areNamed: false).filter { $0.isError }
      .filter { $0.sentence != BridgeNetfilter.advice }
      .map { $0.namesFile ? $0.sentence : "\($0.file): \($0.sentence)" }
  }

  private mutating func add(_ sentence: String, _ remedy: String) {
    problems.append(Problem(sentence: sentence, remedy: remedy))
  }

  // MARK: - Printing

  func lines(wide: Bool) -> [String] {
    var table = Table(["NETWORK", "BRIDGE", "PORTS", "LEASES", "ROUTES"])
    for row in rows {
      let bridge = row.configured?.bridge.map { "\($0)" } ?? ""
      table.append(["\(row.network)", bridge, "\(row.ports)", row.leaseWords, row.routeWords])
    }
    var lines = table.isEmpty ? [] : table.lines(wide: wide) + [""]
    guard let first = problems.first else { return lines + ["Nothing is wrong."] }
    // Everything fits on one screen.
    let shown = problems.prefix(12)
    lines += shown.map { "- \(printable($0.sentence))" }
    if shown.count < problems.count { lines.append("- and \(problems.count - shown.count) more") }
    return lines + ["", "First: \(printable(first.remedy))"]
  }

  var json: JSON {
    .object(
      JSONObject(
        ("networks", .array(rows.map { $0.json })),
        (
          "problems",
          .array(problems.map { stringObject(("problem", $0.sentence), ("remedy", $0.remedy)) })
        )))
  }
}

extension Overview.Row {
  /// The usage of the pool with the highest share of used addresses. A pod takes one address from each pool, so
  /// this one runs out first.
  private var fullest: LeaseReport.Usage? {
    leases?.usage.max { $0.percent < $1.percent }
  }

  fileprivate var leaseWords: String {
    guard let leases else { return "" }
    // Without known pools there is only the number of leases to show.
    guard let fullest else { return "\(leases.rows.count)" }
    let stale = leases.rows.count { $0.stale != nil }
    return "\(fullest.used) of \(fullest.set.total)" + (stale > 0 ? " (\(stale) stale)" : "")
  }

  fileprivate var routeWords: String {
    guard configured?.routed != nil else { return "" }
    return wrongRoutes == 0 ? "\(routes)" : "\(wrongRoutes) of \(routes) wrong"
  }

  fileprivate var json: JSON {
    .object(
      JSONObject(
        ("network", .string("\(network)")), ("file", configured.map { .string($0.file) }),
        ("bridge", configured?.bridge.map { .string("\($0)") }), ("ports", .number(ports)),
        ("pools", .array(leases?.usage.map { $0.json } ?? [])), ("routes", .number(routes)),
        ("wrongRoutes", .number(wrongRoutes))))
  }
}
