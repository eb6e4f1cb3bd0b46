// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import System

@testable import Netfilter
@testable import Netlink

/// Runs `body` with each message of an input. Its first byte chooses the messages' type: then the rest is what
/// follows the header of one message. With another number it is a datagram as it is.
private func withMessages(
  _ input: [UInt8], _ types: [Int], _ body: (Message) throws(Violation) -> Void
) throws(Violation) {
  guard let choice = input.first else { return }
  var datagram = Array(input.dropFirst())
  if Int(choice) < types.count {
    let length = UInt32(MemoryLayout<nlmsghdr>.size + datagram.count)
    let header = nlmsghdr(
      nlmsg_len: length, nlmsg_type: UInt16(types[Int(choice)]), nlmsg_flags: 0x0302,
      nlmsg_seq: 1, nlmsg_pid: 0)
    datagram = withUnsafeBytes(of: header) { Array($0) } + datagram
  }
  var messages: [[UInt8]] = []
  datagram.withUnsafeBytes { bytes in
    for message in Messages(bytes) { messages.append(Array(message.bytes)) }
  }
  // Each in memory of its own: what is read beyond its end is found.
  for message in messages {
    let result = message.withUnsafeBytes { bytes -> Result<Void, Violation> in
      do throws(Violation) {
        let message = Message(bytes)
        use(message.failure(of: "try")?.description)
        try body(message)
        return .success(())
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }
}

/// What a request asks for, read as if the kernel had said it.
private func answer<Value>(
  _ request: Request, as type: Int, _ read: (Message) -> Value?
) -> Value? {
  var bytes = Array(request.bytes)
  withUnsafeBytes(of: UInt16(type)) { bytes.replaceSubrange(4..<6, with: $0) }
  return bytes.withUnsafeBytes { read(Message($0)) }
}

/// Answers of rtnetlink: links, VLANs, addresses, neighbours and routes.
func fuzzRouteNetlink(_ input: [UInt8]) throws(Violation) {
  let types = [
    RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_NEWNEIGH, RTM_NEWROUTE, RTM_DELROUTE,
    Int(NLMSG_ERROR),
  ]
  try withMessages(input, types) { (message: Message) throws(Violation) in
    try readLink(message)
    try readAddress(message)
    try readRoute(message)
  }
}

/// Answers of nf_tables and of connection tracking. With the first byte 100 or 101 it is a table of
/// iptables-legacy.
func fuzzNetfilter(_ input: [UInt8]) throws(Violation) {
  if let choice = input.first, choice == 100 || choice == 101 { return try readLegacy(input) }
  let types = [
    Int(NFNL_SUBSYS_NFTABLES) << 8 | Int(NFT_MSG_NEWRULE.rawValue),
    Int(NFNL_SUBSYS_NFTABLES) << 8 | Int(NFT_MSG_NEWCHAIN.rawValue), newConnection,
    Int(NLMSG_ERROR),
  ]
  try withMessages(input, types) { (message: Message) throws(Violation) in
    try readRule(message)
    try readConnection(message)
  }
}

private let newConnection =
  Int(NFNL_SUBSYS_CTNETLINK) << 8 | Int(IPCTNL_MSG_CT_NEW.rawValue)

/// Links, their settings as bridges and ports, and their VLANs.
private func readLink(_ message: Message) throws(Violation) {
  for vlan in BridgeVLAN.list(message) {
    use(Request.addBridgeVLAN(LinkIndex(7), vlan).bytes.count)
  }
  guard let link = Link(message) else { return }
  try require(!link.name.description.isEmpty, "a link without a name")
  try require(link.mtu >= 0, "an MTU of \(link.mtu)")
  if let port = link.port {
    use(Request.changeBridgePort(.index(link.index), port).bytes.count)
  }
  if let vxlan = link.vxlan {
    let written = answer(
      .addVXLAN(link.name, VXLAN(port: vxlan.port), mtu: link.mtu), as: RTM_NEWLINK, Link.init)
    try require(written?.vxlan == VXLAN(port: vxlan.port), "another VXLAN link is made")
  }
}

/// Addresses, neighbours, and entries of a bridge's forwarding database.
private func readAddress(_ message: Message) throws(Violation) {
  if let neighbour = Neighbour(message) {
    use(Request.deleteNeighbour(neighbour.address, index: neighbour.index).bytes.count)
  }
  if let entry = ForwardingEntry(message) {
    try require(entry.mac.bytes.count == 6, "\(entry.mac)")
  }
  guard let address = InterfaceAddress(message) else { return }
  let written = answer(.replaceAddress(address), as: RTM_NEWADDR, InterfaceAddress.init)
  try require(
    written?.prefix == address.prefix && written?.index == address.index,
    "another address than \(address.prefix) is set")
  use(Request.deleteAddress(address).bytes.count)
}

/// Routes: one that is made as it was read is the same.
private func readRoute(_ message: Message) throws(Violation) {
  guard let route = Route(message) else { return }
  for hop in route.nextHops { try require((1...256).contains(hop.weight), "\(hop.weight)") }
  use(route.description)
  use(Request.deleteRoute(route).bytes.count)
  guard let written = answer(.addRoute(route), as: RTM_NEWROUTE, Route.init) else {
    throw Violation(description: "a route that cannot be read is made: \(route)")
  }
  // One next hop's weight is not written, nor are parts that have no meaning: read once more.
  guard let again = answer(.addRoute(written), as: RTM_NEWROUTE, Route.init) else {
    throw Violation(description: "a route that cannot be read is made: \(written)")
  }
  try require(written.isInstalled(as: again), "\(written) is made as \(again)")
}

/// Rules and chains of nf_tables.
private func readRule(_ message: Message) throws(Violation) {
  if let chain = Chain(message) {
    use(chain.description)
    use(Request.addChain(chain).bytes.count)
  }
  guard let found = InstalledRule(message) else { return }
  let chain = Chain(
    family: .inet, table: "humanz", name: "postrouting", type: "nat",
    hook: NF_INET_POST_ROUTING.rawValue, priority: 100)
  let rule = Rule(
    comment: "net",
    expressions: [
      .meta(NFT_META_L4PROTO), .compare(NFT_CMP_EQ, [17]),
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset: 2, length: 2), .verdict(NF_ACCEPT),
    ])
  use(rule.isInstalled(as: found))
  use(rule.matches(found))
  use(found.matchedComment)
  if let target = found.target {
    use(Request.deleteChain(.ip, table: "nat", target).bytes.count)
  }
  if let set = found.overlaySet(of: nil) {
    try require(set.utf8.starts(with: "overlay-".utf8), "the set \(set)")
    use(Request.deleteSet(set).bytes.count)
  }
  use(found.overlaySet(of: "net"))
  use(Request.deleteRule(found, of: chain).bytes.count)
}

/// Tracked connections.
private func readConnection(_ message: Message) throws(Violation) {
  let addresses: [[UInt8]] = [[10, 1, 0, 2], [0xfd] + [UInt8](repeating: 0, count: 14) + [2]]
  use(TrackedConnection.hasSource(message, among: addresses))
  guard let connection = TrackedConnection(message) else { return }
  let request = Request.deleteConnection(connection)
  let written = answer(request, as: newConnection, TrackedConnection.init)
  try require(
    written?.original == connection.original && written?.zone == connection.zone
      && written?.id == connection.id && written?.family == connection.family,
    "another connection is deleted")
}

/// A table of iptables-legacy. The first bytes are the family, and where the chain and its policy begin.
private func readLegacy(_ input: [UInt8]) throws(Violation) {
  guard input.count >= 5 else { return }
  let family: IPAddress.Family = input[0] % 2 == 0 ? .v4 : .v6
  let table = Array(input.dropFirst(5))
  let chain = LegacyChain(
    table[...], forward: Int(input[1]) << 8 | Int(input[2]),
    policy: Int(input[3]) << 8 | Int(input[4]), family)
  try require(chain.rules.reduce(0) { $0 + $1.count } <= table.count, "rules beyond the table")
  for accept in chain.accepts(comment: "humanz demo", family) {
    try require(accept.prefix.family == family, "\(accept.prefix)")
  }
}
