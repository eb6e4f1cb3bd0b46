// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded
import Netlink

extension RouteReport {
  /// The node's view of the cluster, for Graphviz: a box for each node, an ellipse for each destination, and
  /// on each edge the next hop. What is wrong is red.
  var graph: [String] {
    let own = quoted(["this node", Sysctl.read("kernel/hostname") ?? ""])
    var lines = ["digraph routes {", "rankdir=LR", statement([own], "shape=box, style=bold")]
    for row in rows where !row.destination.isEmpty {
      let color = row.problem == nil ? "" : "color=red, fontcolor=red"
      var way = row.via.filter { $0 != "link" } + row.devices
      if row.problem != nil || row.state != "installed" { way.append(row.state) }
      let label = ["label=", quoted(way), ",", color].joined()
      let destination = quoted([row.destination])
      lines.append(statement([destination], color))
      if let peer = row.peer {
        let node = quoted([peer])
        lines.append(statement([node], "shape=box"))
        lines.append(statement([own, node], label))
        lines.append(statement([node, destination], color))
      } else {
        lines.append(statement([own, destination], label))
      }
    }
    if !problems.isEmpty {
      lines.append(statement(["graph"], ["fontcolor=red, label=", quoted(problems)].joined()))
    }
    return lines + ["}"]
  }

  /// A node, or an edge from one to the other.
  @inline(never)
  private func statement(_ nodes: [String], _ attributes: String) -> String {
    [nodes.joined(separator: " -> "), " [", attributes, "]"].joined()
  }

  @inline(never)
  private func quoted(_ lines: [String]) -> String {
    ["\"", lines.map { escaped($0) }.joined(separator: "\\n"), "\""].joined()
  }
}
