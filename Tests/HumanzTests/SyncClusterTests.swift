// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Routes
import Testing

@testable import humanz

/// What is kept of Kubernetes' objects, and the cluster file that is made from them.
@Suite struct SyncClusterTests {
  private func piece(_ text: String, isItem: Bool = false) throws -> SyncDocuments.Piece {
    SyncDocuments.Piece(
      json: try #require(try JSON(parsing: Array(text.utf8)).object), isItem: isItem, line: 1)
  }

  /// A short Node: name, podCIDRs, InternalIPs.
  private func node(_ name: String, _ subnets: [String], _ addresses: [String]) -> String {
    let addresses = addresses.map { #"{"type":"InternalIP","address":"\#($0)"}"# }
    return #"{"kind":"Node","metadata":{"name":"\#(name)"},"spec":{"podCIDRs":\#(subnets)},"#
      + #""status":{"addresses":[\#(addresses.joined(separator: ","))]}}"#
  }

  private func peer(_ name: String, _ subnet: String, _ via: String) -> ClusterFile.Peer {
    ClusterFile.Peer(name: name, subnet: IPPrefix(subnet)!, via: [IPAddress(via)!])
  }

  /// A cluster that has taken these documents, each with a node.
  private func cluster(
    remembered: ClusterFile? = nil, _ texts: String...
  ) throws -> SyncCluster {
    var cluster = SyncCluster(ownName: "own", remembered: remembered)
    for text in texts { _ = try cluster.take(piece(text)) }
    return cluster
  }

  private func peers(_ cluster: SyncCluster) throws -> [ClusterFile.Peer] {
    var problems: [String] = []
    return try #require(cluster.file(&problems)).peers
  }

  private var own: String { node("own", ["10.244.0.0/24"], ["192.168.0.1"]) }
  private var other: String { node("b", ["10.244.2.0/24"], ["192.168.0.2"]) }

  @Test func `peers are in the order of their subnets`() throws {
    let cluster = try cluster(
      own, node("a", ["10.244.9.0/24", "fd00::/64"], ["192.168.0.9", "fd01::9"]), other,
      node("c", ["10.244.10.0/24"], ["192.168.0.10"]))
    #expect(
      try peers(cluster) == [
        peer("b", "10.244.2.0/24", "192.168.0.2"), peer("a", "10.244.9.0/24", "192.168.0.9"),
        peer("c", "10.244.10.0/24", "192.168.0.10"), peer("a", "fd00::/64", "fd01::9"),
      ])
  }

  @Test func `podCIDR counts where there are no podCIDRs`() throws {
    let text = other.replacing(
      #""podCIDRs":["10.244.2.0/24"]"#, with: #""podCIDR":"10.244.2.0/24""#)
    #expect(text != other)
    #expect(try peers(cluster(own, text)) == peers(cluster(own, other)))
  }

  @Test func `of several addresses of a family the first is taken`() throws {
    let text = node("b", ["10.244.2.0/24"], ["fd01::2", "192.168.0.2", "192.168.9.2"])
    #expect(try peers(cluster(own, text)) == peers(cluster(own, other)))
  }

  @Test func `without this node there is no file`() throws {
    var problems: [String] = []
    #expect(try cluster(other).file(&problems) == nil)
  }

  @Test func `what changes nothing is told apart`() throws {
    var cluster = try cluster(own, other)
    #expect(try cluster.take(piece(other)) == .sameNode)
    #expect(try cluster.take(piece(#"{"type":"MODIFIED","object":\#(other)}"#)) == .sameNode)
    #expect(try cluster.take(piece(#"{"type":"BOOKMARK","object":{"kind":"Node"}}"#)) == .nothing)
    #expect(
      try cluster.take(piece(node("b", ["10.244.2.0/24"], ["192.168.0.3"]))) == .change)
    #expect(try cluster.take(piece(#"{"type":"DELETED","object":\#(other)}"#)) == .change)
    #expect(try cluster.take(piece(#"{"type":"DELETED","object":\#(other)}"#)) == .nothing)
    #expect(try peers(cluster) == [])
  }

  @Test func `a list replaces all nodes once it has ended`() throws {
    var cluster = try cluster(own, other)
    let before = try peers(cluster)
    #expect(try cluster.take(piece(own, isItem: true)) == .item)
    #expect(
      try cluster.take(piece(node("d", ["10.1.0.0/24"], ["10.9.9.9"]), isItem: true)) == .item)
    #expect(try peers(cluster) == before)
    #expect(try cluster.take(piece(#"{"kind":"NodeList","items":[0,0]}"#)) == .list)
    #expect(try peers(cluster) == [peer("d", "10.1.0.0/24", "10.9.9.9")])
  }

  @Test func `a list that has not ended leaves nothing to the next one`() throws {
    var cluster = try cluster(own)
    _ = try cluster.take(piece(other, isItem: true))
    cluster.dropIncompleteList()
    _ = try cluster.take(piece(own, isItem: true))
    _ = try cluster.take(piece(#"{"kind":"NodeList","items":[0]}"#))
    #expect(try peers(cluster) == [])
  }

  @Test func `what the file remembers stands until the cluster tells otherwise`() throws {
    let file = ClusterFile(
      node: "own", subnets: [IPPrefix("10.244.0.0/24")!, IPPrefix("fd00::/64")!],
      peers: [
        peer("a", "10.244.1.0/24", "192.168.0.4"), peer("b", "10.244.2.0/24", "192.168.0.2"),
        peer("a", "fd00:1::/64", "fd01::4"),
      ])
    var problems: [String] = []
    let remembered = try cluster(remembered: file)
    #expect(
      remembered.file(&problems)
        == ClusterFile(
          node: "own", subnets: file.subnets, peers: file.peers.sorted { $0.subnet < $1.subnet }))
    // A new node has the subnet of one that left unnoticed.
    let told = try cluster(remembered: file, node("z", ["10.244.1.0/24"], ["192.168.0.26"]))
    #expect(
      try peers(told) == [
        peer("z", "10.244.1.0/24", "192.168.0.26"), peer("b", "10.244.2.0/24", "192.168.0.2"),
        peer("a", "fd00:1::/64", "fd01::4"),
      ])
  }

  @Test(
    arguments: [
      #"{"kind":"Pod","metadata":{"name":"a"}}"#, #"{"kind":"Node"}"#, #"{}"#,
      #"{"kind":"Node","metadata":{}}"#, #"{"kind":"Node","metadata":{"name":7}}"#,
      #"{"kind":"Node","metadata":{"name":"a"},"spec":{"podCIDRs":"10.0.0.0/24"}}"#,
      #"{"kind":"Node","metadata":{"name":"a"},"status":{"addresses":[7]}}"#,
      #"{"type":"ADDED"}"#, #"{"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"a"}}}"#,
      #"{"type":"ERROR","object":{"kind":"Status","message":"gone"}}"#,
      #"{"kind":"Status","message":"gone"}"#,
    ]) func `what is no node is an error that names the line`(_ text: String) throws
  {
    var cluster = SyncCluster(ownName: "own", remembered: nil)
    let piece = try piece(text)
    let error = #expect(throws: CNIError.self) { try cluster.take(piece) }
    #expect(error?.message.hasPrefix("stdin: line 1: ") == true)
  }
}
