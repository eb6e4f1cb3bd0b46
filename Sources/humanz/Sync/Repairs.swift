// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink
import Node
import Routes
import System

/// What a repair of the node changed, and what it could not change, in sentences for people.
struct Repairs {
  /// What changed.
  private(set) var done: [String] = []
  /// What stays wrong.
  var wrong: [String] = []
  /// What is wrong with the bridges of the node's own pods, which no repair of routes changes.
  var unserved: [String] = []

  /// Repairs routes.
  mutating func repair(_ routes: NodeRoutes, on node: borrowing Node) {
    var findings: [NodeRoutes.Finding] = []
    let problems = routes.repair(on: node, &findings)
    guard !findings.isEmpty || !problems.isEmpty else { return }
    let links = (try? node.kernel.links()) ?? []
    wrong += problems.map { namingDevices($0, links) }
    for finding in findings {
      done.append(Repairs.sentence(finding, namingDevices("\(finding.route)", links)))
    }
  }

  private static func sentence(_ finding: NodeRoutes.Finding, _ route: String) -> String {
    switch finding.state {
    case .missing: return "made the route \(route)"
    case .different:
      return "replaced the route \(route)" + (finding.peer.map { " by the one to \($0)" } ?? "")
    default: return "removed the route \(route), which no peer needs"
    }
  }

  /// Turns forwarding on for some families.
  mutating func enableForwarding(_ families: [IPAddress.Family], on node: borrowing Node) {
    for family in families where !Forwarding.isOn(family) {
      do throws(CNIError) {
        try Forwarding.enable(family, on: node)
        done.append("turned forwarding of IPv\(family.version) on")
      } catch {
        wrong.append(error.message)
      }
    }
  }
}

/// The lines that `sync --watch` writes about its repairs: none for the first pass, which makes all routes, and
/// none that it wrote less than a minute ago, as when somebody else removes a route again and again.
struct RepairLog {
  private var isFirst = true
  /// The lines of the last minute, and when they were written.
  private var recent: [(line: String, time: Int)] = []

  /// The most lines of one pass: a link that goes down takes all its routes with it.
  private static let mostLines = 4
  /// In microseconds.
  private static let quietTime = 60_000_000

  mutating func write(_ lines: [String]) {
    for line in shown(of: lines, at: Clock.microseconds()) { Output.complain(line) }
  }

  /// What to write of the lines of one pass.
  /// - Parameter now: in microseconds.
  mutating func shown(of lines: [String], at now: Int) -> [String] {
    if isFirst {
      isFirst = false
      return []
    }
    recent.removeAll { now >= $0.time + RepairLog.quietTime }
    let new = lines.filter { line in !recent.contains { $0.line.isSame(as: line) } }
    recent += new.map { ($0, now) }
    guard new.count > RepairLog.mostLines else { return new }
    let shown = RepairLog.mostLines - 1
    return new.prefix(shown) + ["and \(new.count - shown) more repairs"]
  }
}
