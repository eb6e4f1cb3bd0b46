// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import Netlink
import System

/// What a node knows of its cluster, in the file that `humanz sync` writes and `clusterFile` of
/// humanz-ipam and humanz-route names:
///
///     {"node": "node1", "subnets": ["10.244.0.0/24"],
///      "peers": [{"name": "node2", "subnet": "10.244.1.0/24", "via": ["192.168.0.2"]}]}
public struct ClusterFile: Equatable {
  /// On tmpfs: a node that boots asks the cluster anew.
  public static let defaultPath = "/run/humanz/cluster.json"

  /// Another node: one of its pod subnets, and its addresses, which are of the subnet's family.
  public struct Peer: Equatable {
    /// The node's name in the cluster, for messages; empty if the file has none.
    public let name: String
    /// Its pods' addresses: a prefix without host bits.
    public let subnet: IPPrefix
    /// The node's addresses, of the subnet's family: 1 to 64 of them.
    public let via: [IPAddress]

    public init(name: String, subnet: IPPrefix, via: [IPAddress]) {
      self.name = name
      self.subnet = subnet
      self.via = via
    }
  }

  /// The node's own name in the cluster; nil if the file has none.
  public let node: String?
  /// The node's own pod subnets: one for each family; empty while none is known.
  public let subnets: [IPPrefix]
  /// The other nodes' subnets, in any order: a node with two pod subnets is listed twice.
  public let peers: [Peer]

  public init(node: String?, subnets: [IPPrefix], peers: [Peer]) {
    self.node = node
    self.subnets = subnets
    self.peers = peers
  }
}

// MARK: - Reading

extension ClusterFile {
  /// Reads the file at a path; a link in its place is not followed.
  /// - Throws: error 11 if it does not exist yet, 5 if it cannot be read, 6 if it is not JSON,
  ///   7 naming a key.
  public init(path: String) throws(CNIError) {
    let text: [UInt8]
    do throws(SystemError) {
      text = try FileDescriptor.contents(of: path, flags: O_NOFOLLOW | O_NONBLOCK)
    } catch {
      throw CNIError(
        error.errno == .noSuchFileOrDirectory ? .tryAgainLater : .io,
        "the cluster file: \(error)", details: "`humanz sync` writes it")
    }
    try self.init(parsing: text, path: path)
  }

  /// Reads the content of the file at a path.
  /// - Throws: error 6 if it is not JSON, 7 naming a key.
  init(parsing text: [UInt8], path: String) throws(CNIError) {
    let json: JSON
    do throws(JSONError) { json = try JSON(parsing: text) } catch {
      throw CNIError(
        .undecodable, "the cluster file \(path) is not JSON", details: error.description)
    }
    guard let object = json.object else {
      throw CNIError(
        .undecodable, "the cluster file \(path) is \(json.kind), expected an object",
        details: "`humanz sync` writes it")
    }
    let keys = Keys(object, path: path)
    node = try keys.string("node")
    subnets =
      try keys.elements("subnets") { (value: JSON, path: String) throws(CNIError) in
        guard let subnet = value.string.flatMap({ IPPrefix($0) }), subnet.isNetwork else {
          throw ClusterFile.invalid(path, "a prefix without host bits")
        }
        return subnet
      } ?? []
    guard let values = try keys.array("peers") else {
      throw keys.invalid("peers", "is required: the list of the other nodes, which may be empty")
    }
    var peers: [Peer] = []
    for value in values {
      guard let peer = value.object.flatMap({ Peer($0) }) else {
        throw ClusterFile.invalid(
          "\(path).peers[\(peers.count)]",
          "\"subnet\", without host bits, and \"via\", addresses of its family")
      }
      peers.append(peer)
    }
    self.peers = peers
  }

  fileprivate static func invalid(_ path: String, _ expected: String) -> CNIError {
    CNIError(.invalidConfiguration, "key \"\(path)\": expected \(expected)")
  }
}

extension ClusterFile.Peer {
  /// nil if the object is not a peer. There may be thousands: no error is prepared for each.
  fileprivate init?(_ object: JSONObject) {
    guard let subnet = object["subnet"]?.string.flatMap({ IPPrefix($0) }), subnet.isNetwork,
      let texts = object["via"]?.array
    else { return nil }
    let via = texts.compactMap { $0.string.flatMap { IPAddress($0) } }
    guard (1...Routes.Peer.mostNextHops).contains(via.count), via.count == texts.count,
      via.allSatisfy({ $0.family == subnet.family })
    else { return nil }
    self.init(name: object["name"]?.string ?? "", subnet: subnet, via: via)
  }
}

// MARK: - Writing

extension ClusterFile {
  /// Replaces the file at a path, 0600, in one step: a reader finds the old file or the new one, whole.
  /// Its folder is made, 0700, if only that is missing.
  /// - Throws: error 5; the old file stays.
  public func write(to path: String) throws(CNIError) {
    mkdir(Directory.parts(of: path).folder, 0o700)
    do { try Directory.replaceFile(at: path, json.text + [0x0a]) } catch { throw CNIError(error) }
  }

  var json: JSON {
    .object(
      JSONObject(
        ("node", node.map { .string($0) }),
        ("subnets", .array(subnets.map { .string($0.description) })),
        (
          "peers",
          .array(
            peers.map { peer in
              .object(
                JSONObject(
                  ("name", .string(peer.name)), ("subnet", .string(peer.subnet.description)),
                  ("via", .array(peer.via.map { .string($0.description) }))))
            })
        )))
  }
}
