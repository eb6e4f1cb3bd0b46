// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import System

@testable import CNI
@testable import Leases
@testable import Routes
@testable import humanz

/// A result, strictly and as far as it can be read, in a version that the first byte chooses; written in
/// every version, and read again.
func fuzzResult(_ input: [UInt8]) throws(Violation) {
  guard let choice = input.first,
    let object = (try? JSON(parsing: Array(input.dropFirst())))?.object
  else { return }
  let versions = ProtocolVersion.allCases
  let version = versions[Int(choice) % versions.count]
  let readable = CNIResult(readable: Keys(object), version: version)
  guard let result = try? CNIResult(Keys(object, path: "prevResult"), version: version) else {
    return
  }
  if result.ips.count == readable.ips.count {
    try require(
      result.ips.map { $0.address } == readable.ips.map { $0.address }, "other addresses")
  } else {
    throw Violation(description: "\(readable.ips.count) of \(result.ips.count) addresses are read")
  }
  for interface in result.interfaces {
    use(interface.mac)
    guard let name = InterfaceName(interface.name) else { continue }
    use(result.interface(name, sandbox: interface.sandbox ?? ""))
  }
  for other in versions {
    let json = result.json(version: other)
    guard let written = json.object else { throw Violation(description: "not an object") }
    let again: CNIResult
    do throws(CNIError) { again = try CNIResult(Keys(written), version: .newest) } catch {
      throw Violation(description: "in \(other): \(error.message)")
    }
    try require(again.json(version: other).text == json.text, "in \(other) it changes")
    if !other.hasPairResult {
      try require(
        again.ips.map { $0.address } == result.ips.map { $0.address }
          && again.routes.count == result.routes.count, "in \(other) something is lost")
    }
  }
}

/// A conflist: what a runtime makes of it, what the tool shows of it, and what `convert` makes of it.
func fuzzConflist(_ input: [UInt8]) throws(Violation) {
  guard let list = try? NetworkList(parsing: input, path: "input") else { return }
  try require(!list.plugins.isEmpty, "no plugin")
  for type in ["humanz-bridge", "humanz-ipam", "humanz-route"] {
    for configuration in (try? list.configurations(ofType: type)) ?? [] {
      try require(
        configuration.name == list.name && configuration.version == list.version,
        "another name or version")
    }
  }
  // What is in files is not of this input.
  for plugin in list.plugins {
    let section = (try? plugin.keys("ipam")) ?? nil
    if [plugin, section].contains(where: { $0?.has("clusterFile") == true }) { return }
    if plugin.has("subnetFile") { return }
  }
  var problems: [String] = []
  let network = ConfiguredNetwork(list, file: "input", &problems)
  if let pools = network.pools { try check(pools, []) }
  var conversion = Conversion(list)
  guard (try? conversion.convert()) != nil else { return }
  let text = Array(conversion.conflist.indentedLines.joined(separator: "\n").utf8)
  let converted: NetworkList
  do throws(CNIError) { converted = try NetworkList(parsing: text, path: "converted") } catch {
    throw Violation(description: "what is converted: \(error.message) \(error.details)")
  }
  try require(converted.name == list.name, "another name")
  try require((try? JSON(parsing: text)) == conversion.conflist, "other lines")
}

/// Files of the lease store. The first byte chooses which: an attachment's, the summary, a lease with the
/// time at which it was written, a file's name.
func fuzzStore(_ input: [UInt8]) throws(Violation) {
  guard let choice = input.first else { return }
  let content = Array(input.dropFirst())
  let attachment = Attachment(
    containerID: ContainerID("container")!, interface: InterfaceName("eth0")!)
  switch choice % 4 {
  case 0:
    guard let record = AttachmentRecord(attachment, parsing: content) else { return }
    try require(!record.addresses.isEmpty, "no address")
    try require(
      AttachmentRecord(attachment, parsing: record.text) == record, "another file is written")
  case 1:
    if let summary = StoreSummary(parsing: content) { try check(summary.pools, []) }
  case 2:
    let holder = Holder(content.dropFirst(8).map { $0 })
    use(holder.description)
    if let attachment = holder.attachment {
      try require(Holder(attachment.leaseContent) == holder, "\(holder) is written otherwise")
      try require(
        Attachment(fileName: attachment.fileName) == attachment, "\(attachment.fileName)")
    }
    let seconds = content.prefix(8).reduce(Int64(0)) { $0 << 8 | Int64($1) }
    // The largest file systems' times end after four thousand years, the smallest begin before 1970.
    let time = Clock.timestamp(timespec(tv_sec: Int(seconds % 100_000_000_000), tv_nsec: 0))
    try require(time.hasSuffix(".000Z") && time.utf8.count >= 24, "the time \(time)")
  default:
    let name = String(decoding: content, as: UTF8.self)
    guard let attachment = Attachment(fileName: name) else { return }
    try require(attachment.fileName == name && !name.contains("/"), "the file \(name)")
  }
}

/// The cluster file: what is read is written, and read again as the same.
func fuzzCluster(_ input: [UInt8]) throws(Violation) {
  guard let file = try? ClusterFile(parsing: input, path: "input") else { return }
  try check(file)
  let peers = file.peers.map { Peer($0) }
  for network in [[], [IPPrefix("10.0.0.0/8")!, IPPrefix("fd00::/8")!]] {
    let list = PeerList(peers, within: network)
    try require(list.peers.count + list.refused.count == peers.count, "a peer is lost")
    for refusal in list.refused { use(refusal.reason) }
  }
  let addresses = file.peers.flatMap { $0.via }
  var problems: [String] = []
  let usable = ClusterSubnets(own: file.subnets, addresses: addresses)
    .usable(file.peers, &problems)
  for (one, next) in zip(usable, usable.dropFirst()) {
    try require(
      one.subnet < next.subnet && !one.subnet.overlaps(next.subnet),
      "\(one.subnet) and \(next.subnet) both get routes")
  }
  for peer in usable {
    try require(
      !file.subnets.contains { $0.overlaps(peer.subnet) }, "\(peer.subnet) is this node's own")
  }
  // What the file remembers is where `sync` begins.
  use(SyncCluster(ownName: file.node ?? "own", remembered: file).file(&problems))
}

/// A file that is written must be one that is read.
private func check(_ file: ClusterFile) throws(Violation) {
  let again: ClusterFile
  do throws(CNIError) { again = try ClusterFile(parsing: file.json.text, path: "file") } catch {
    throw Violation(description: "the file that is written: \(error.message)")
  }
  try require(again == file, "the file that is written is another")
}

/// What Kubernetes tells of its nodes: lists and streams of events. The first byte chooses in which pieces
/// it arrives.
func fuzzNodes(_ input: [UInt8]) throws(Violation) {
  guard let choice = input.first else { return }
  let text = Array(input.dropFirst())
  let whole = cut(text, every: text.count)
  let pieces = cut(text, every: Int(choice) % 16 + 1)
  try require(
    pieces.pieces == whole.pieces && pieces.error == whole.error,
    "in pieces of \(Int(choice) % 16 + 1) bytes it is another stream")
  var cluster = SyncCluster(ownName: "node1", remembered: nil)
  for piece in whole.pieces {
    use(try? cluster.take(piece))
    var problems: [String] = []
    if let file = cluster.file(&problems) { try check(file) }
  }
}

/// The pieces of a stream that arrives in parts of a size, and the error that ends it.
private func cut(
  _ text: [UInt8], every size: Int
) -> (pieces: [SyncDocuments.Piece], error: String?) {
  var documents = SyncDocuments()
  var pieces: [SyncDocuments.Piece] = []
  do throws(CNIError) {
    var start = 0
    while start < text.count {
      let end = min(start + size, text.count)
      documents.append(Array(text[start..<end]))
      while let piece = try documents.next() { pieces.append(piece) }
      start = end
    }
    try documents.finish()
  } catch {
    return (pieces, "\(error.message) \(error.details)")
  }
  return (pieces, nil)
}
