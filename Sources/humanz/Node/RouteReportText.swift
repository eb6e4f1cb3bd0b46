// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded

// How the report of routes is printed.

extension RouteReport {
  /// The report for programs.
  var json: JSON {
    .object(
      JSONObject(
        ("routes", .array(rows.map { $0.json })), ("forwarding", .array(forwarding)),
        ("forward", .array(forwardChains)),
        ("reversePathFilter", .array(reversePathFilters)),
        ("masquerade", .array(masquerade)), ("problems", .array(problems.map { .string($0) }))))
  }

  /// The report for people.
  func lines(wide: Bool) -> [String] {
    var routes = Table(["NETWORK", "DESTINATION", "VIA", "DEVICE", "STATE", "FOR"])
    for row in rows { routes.append(row.words) }
    var lines = ["routes:"] + RouteReport.indented(routes.lines(wide: wide))
    for (title, rows) in [
      ("forwarding", forwarding), ("forward", forwardChains),
      ("reverse path filter", reversePathFilters), ("masquerade", masquerade),
    ] {
      lines += RouteReport.table(title, rows, wide)
      if !rows.isEmpty { lines += RouteReport.indented(notes(title)) }
    }
    lines.append(problems.isEmpty ? "problems: none" : "problems:")
    return lines + RouteReport.indented(problems.map { printable($0) })
  }

  /// Lines for what does not fit in a table.
  private func notes(_ title: String) -> [String] {
    switch title {
    case "forward":
      return [
        "drop all: a rule drops or rejects every packet; drop the rest: a rule drops what no rule before it accepts.",
        "Rules with conditions are not examined: `iptables -S FORWARD` and `nft list ruleset` show them.",
      ]
    case "reverse path filter"
    where reversePathFilters.contains { $0.object?["mode"]?.string == "strict" }:
      return ["strict: a packet is dropped if the route back to its sender leads over another link"]
    default: return []
    }
  }

  /// A table of objects with the same members.
  private static func table(_ title: String, _ rows: [JSON], _ wide: Bool) -> [String] {
    guard let first = rows.first?.object else { return ["\(title): none"] }
    var table = Table(
      first.members.map { String(decoding: Array($0.name.utf8).map(uppercase)) })
    for row in rows { table.append(row.object?.members.map { word($0.value) } ?? []) }
    return ["\(title):"] + indented(table.lines(wide: wide))
  }

  private static func indented(_ lines: [String]) -> [String] { lines.map { "  \($0)" } }

  private static func word(_ value: JSON) -> String {
    value.string ?? (value.array ?? []).compactMap { $0.string }.joined(separator: ",")
  }
}

extension RouteReport.Row {
  fileprivate var words: [String] {
    [
      network.map { "\($0)" } ?? "", destination, via.joined(separator: ","),
      devices.joined(separator: ","), state, purpose ?? "",
    ]
  }

  fileprivate var json: JSON {
    .object(
      JSONObject(
        ("network", network.map { .string("\($0)") }),
        ("destination", destination.isEmpty ? nil : .string(destination)),
        ("via", .array(via.map { .string($0) })), ("device", .array(devices.map { .string($0) })),
        ("state", .string(state)), ("for", purpose.map { .string($0) }),
        ("problem", problem.map { .string($0) })))
  }
}
