import Addresses
import CNI
import Embedded
import Leases
import Netfilter
import Netlink
import Node

/// `humanz ports`: who is behind each port of ours.
struct PortsCommand {
  private let printsJSON: Bool

  init(_ arguments: [String]) throws(CNIError) {
    guard arguments.isEmpty || arguments == ["--json"] else {
      throw UsageError.error("ports: unknown arguments")
    }
    printsJSON = !arguments.isEmpty
  }

  func run() throws(CNIError) -> Int32 {
    let ports = try Port.all(on: Node().kernel)
    try printLine(
      printsJSON
        ? JSON.object(JSONObject(("ports", .array(ports.map { $0.json })))).text
        : Array(textTable([Port.header] + ports.map { $0.row }).joined(separator: "\n").utf8))
    return 0
  }
}

/// The node's end of an attachment's pair.
private struct Port {
  let link: Link
  let network: NetworkName
  let attachment: Attachment
  /// nil where it is no port of any.
  let bridge: InterfaceName?
  /// Those from which the bridge has heard lately.
  let macs: [MACAddress]

  /// All ports of ours, of every network and bridge.
  static func all(on kernel: borrowing Kernel) throws(CNIError) -> [Port] {
    let links = try kernel.links()
    var heard: [ForwardingEntry] = []
    for link in links where link.kind == "bridge" {
      heard += try kernel.forwardingEntries(of: link.index)
    }
    return links.compactMap { link in
      guard let owner = link.alias.flatMap({ HostInterface.owner(alias: $0) }) else { return nil }
      return Port(
        link: link, network: owner.network, attachment: owner.attachment,
        bridge: links.first { $0.index == link.master }?.name,
        macs: heard.filter { $0.index == link.index && !$0.isPermanent }.map { $0.mac })
    }
  }

  /// What keeps packets from passing, or how they may.
  private var state: String {
    if bridge == nil { return "on no bridge" }
    if !link.isUp { return "down" }
    if !link.isRunning { return "the pod's end is down" }
    var words = ["up"]
    if link.port?.hairpin == true { words.append("hairpin") }
    if link.port?.isolated == true { words.append("isolated") }
    return words.joined(separator: ", ")
  }

  static var header: [String] {
    ["PORT", "BRIDGE", "NETWORK", "CONTAINER", "INTERFACE", "MTU", "MAC", "STATE"]
  }

  var row: [String] {
    [
      "\(link.name)", bridge.map { "\($0)" } ?? "-", "\(network)", "\(attachment.containerID)",
      "\(attachment.interface)", "\(link.mtu)",
      macs.isEmpty ? "-" : macs.map { "\($0)" }.joined(separator: ","), state,
    ]
  }

  var json: JSON {
    .object(
      JSONObject(
        ("port", .string("\(link.name)")), ("bridge", bridge.map { .string("\($0)") }),
        ("network", .string("\(network)")), ("containerID", .string("\(attachment.containerID)")),
        ("interface", .string("\(attachment.interface)")), ("mtu", .number(link.mtu)),
        ("macs", .array(macs.map { .string("\($0)") })), ("state", .string(state))))
  }
}
