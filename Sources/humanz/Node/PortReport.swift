// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Netlink
import Node
import System

/// The ports of our networks' bridges, and our links that are on no bridge.
struct PortReport {
  private(set) var ports: [Port] = []

  init(_ configured: ConfiguredNetworks) throws(CNIError) {
    let node = try Node()
    let links = try node.kernel.links()
    let bridges = links.filter { link in
      link.kind == "bridge"
        && (configured.networks.contains { $0.isOurs && $0.bridge == link.name }
          || links.contains { $0.master == link.index && $0.owner != nil })
    }
    var forwardingDatabase: [ForwardingEntry] = []
    for bridge in bridges {
      forwardingDatabase += try node.kernel.forwardingEntries(of: bridge.index)
    }
    let neighbours = try node.kernel.neighbours()
    let stores = try? LeaseStores(folder: nil, configured)
    for link in links {
      let bridge = bridges.first { $0.index == link.master }
      let owner = link.owner
      guard bridge != nil || owner != nil else { continue }
      let macs = forwardingDatabase.filter { $0.index == link.index && !$0.isPermanent }
        .map { $0.mac }
      let record = owner.flatMap { stores?.record(of: $0.attachment, on: $0.network) }
      var addresses = record?.addresses ?? []
      if addresses.isEmpty {
        // For a port without a record, such as another plugin's: the node's neighbours behind it.
        addresses = neighbours.filter { $0.mac.map { macs.contains($0) } ?? false }
          .map { $0.address }.filter { !$0.isLinkLocal }.inOrder()
      }
      ports.append(
        Port(
          link: link, network: owner?.network, attachment: owner?.attachment,
          pod: record?.pod?.description,
          bridge: bridge?.name, addresses: addresses, macs: macs))
    }
  }
}

extension Link {
  /// The network and the attachment that our link belongs to.
  fileprivate var owner: (network: NetworkName, attachment: Attachment)? {
    alias.flatMap { HostInterface.owner(alias: $0) }
  }
}

extension LeaseStores {
  /// The attachment's file; nil if there is none.
  func record(of attachment: Attachment, on network: NetworkName) -> AttachmentRecord? {
    for place in of(network) {
      do throws(SystemError) {
        if let store = try LeaseReader(network, in: place.folder),
          let record = try store.record(of: attachment)
        {
          return record
        }
      } catch {
        continue
      }
    }
    return nil
  }
}

/// A port of a bridge: the node's end of an attachment's pair, or somebody else's.
struct Port {
  let link: Link
  /// nil for a port that is not ours.
  let network: NetworkName?
  let attachment: Attachment?
  /// The pod's namespace and name; nil if the runtime did not pass them.
  let pod: String?
  /// nil if the link is on no bridge.
  let bridge: InterfaceName?
  let addresses: [IPAddress]
  /// The MAC addresses that the bridge has learned behind it.
  let macs: [MACAddress]

  /// Why packets do not pass; nil if they do.
  var problem: String? {
    if bridge == nil { return "on no bridge" }
    if !link.isUp { return "down" }
    if !link.isRunning { return attachment == nil ? "no carrier" : "the pod's end is down" }
    return nil
  }

  /// Why packets do not pass, or the port's settings.
  var state: String {
    if let problem { return problem }
    var words = ["up"]
    if link.port?.hairpin == true { words.append("hairpin") }
    if link.port?.isolated == true { words.append("isolated") }
    return words.joined(separator: ", ")
  }

  static func header(wide: Bool) -> [String] {
    ["PORT", "BRIDGE", "NETWORK", "POD", "CONTAINER", "INTERFACE", "ADDRESS"]
      + (wide ? ["MTU", "MAC"] : []) + ["STATE"]
  }

  func words(wide: Bool) -> [String] {
    var words = ["\(link.name)"]
    words.append(bridge.map { "\($0)" } ?? "")
    words.append(network.map { "\($0)" } ?? "")
    words.append(pod ?? "")
    words.append(attachment.map { "\($0.containerID)".shortened(wide) } ?? "")
    words.append(attachment.map { "\($0.interface)" } ?? "")
    words.append(list(addresses.map { "\($0)" }, wide))
    if wide {
      words.append("\(link.mtu)")
      words.append(list(macs.map { "\($0)" }, wide))
    }
    return words + [state]
  }

  /// The first of several words, and the number of the others.
  private func list(_ words: [String], _ wide: Bool) -> String {
    guard let first = words.first, words.count > 1, !wide else {
      return words.joined(separator: ",")
    }
    return "\(first) +\(words.count - 1)"
  }

  var json: JSON {
    .object(
      JSONObject(
        ("network", network.map { .string("\($0)") }), ("pod", pod.map { .string($0) }),
        ("containerID", attachment.map { .string("\($0.containerID)") }),
        ("interface", attachment.map { .string("\($0.interface)") }),
        ("addresses", .array(addresses.map { .string("\($0)") })),
        ("port", .string("\(link.name)")),
        ("bridge", bridge.map { .string("\($0)") }), ("mtu", .number(link.mtu)),
        ("macs", .array(macs.map { .string("\($0)") })), ("state", .string(state)),
        ("problem", problem.map { .string($0) })))
  }
}
