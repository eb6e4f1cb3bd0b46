import CNI
import CNetlink

/// What a node knows of its cluster, in the file that `humanz-route sync` writes and `clusterFile` of
/// humanz-ipam and humanz-route names:
///
///     {"node": "node1", "subnets": ["10.244.0.0/24"],
///      "peers": [{"name": "node2", "subnet": "10.244.1.0/24", "via": ["192.168.0.2"]}]}
public struct ClusterFile: Equatable {
  /// On tmpfs: a node that boots asks the cluster anew.
  public static let defaultPath = "/run/humanz/cluster.json"

  /// Another node: one of its pod subnets, and its addresses, which are of the subnet's family.
  public struct Peer: Equatable {
    public let name: String
    public let subnet: IPPrefix
    public let via: [IPAddress]

    public init(name: String, subnet: IPPrefix, via: [IPAddress]) {
      self.name = name
      self.subnet = subnet
      self.via = via
    }
  }

  /// The node's own name in the cluster.
  public let node: String?
  /// The node's own pod subnets: one a family, or none that is known yet.
  public let subnets: [IPPrefix]
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
  /// - Throws: error 11 where it is not there yet, 5 where it cannot be read, 6 where it is not JSON,
  ///   7 naming a key.
  public init(path: String) throws(CNIError) {
    let text: [UInt8]
    do throws(CNIError) {
      let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
      text = try FileDescriptor(path: path, flags: flags).readAll()
    } catch {
      throw CNIError(
        access(path, F_OK) == 0 ? .io : .tryAgainLater, "the cluster file: \(error.message)",
        details: "`humanz-route sync` writes it")
    }
    let json: JSON
    do throws(JSONError) { json = try JSON(parsing: text) } catch {
      throw CNIError(
        .undecodable, "the cluster file \(path) is not JSON", details: error.description)
    }
    let keys = Keys(json.object ?? JSONObject(), path: path)
    node = try keys.string("node")
    subnets =
      try keys.elements("subnets") { (value: JSON, path: String) throws(CNIError) in
        guard let subnet = value.string.flatMap({ IPPrefix($0) }), subnet.isNetwork else {
          throw ClusterFile.invalid(path, "a prefix without host bits")
        }
        return subnet
      } ?? []
    peers = try keys.list("peers")?.map { (peer) throws(CNIError) in try Peer(peer) } ?? []
  }

  fileprivate static func invalid(_ path: String, _ due: String) -> CNIError {
    CNIError(.invalidConfiguration, "key \"\(path)\": \(due) is due")
  }
}

extension ClusterFile.Peer {
  fileprivate init(_ keys: Keys) throws(CNIError) {
    guard let subnet = try keys.network("subnet") else {
      throw ClusterFile.invalid(keys.path(of: "subnet"), "the peer's pod subnet")
    }
    self.init(
      name: try keys.string("name") ?? "", subnet: subnet,
      via: try keys.elements("via") { (value: JSON, path: String) throws(CNIError) in
        guard let address = value.string.flatMap({ IPAddress($0) }),
          address.family == subnet.family
        else { throw ClusterFile.invalid(path, "an address of the subnet's family") }
        return address
      } ?? [])
    guard !via.isEmpty else {
      throw ClusterFile.invalid(keys.path(of: "via"), "a list of the peer's addresses")
    }
  }
}

// MARK: - Writing

extension ClusterFile {
  /// Puts the file in the place of the one at a path, 0600, in one step: a reader finds the old one or
  /// the new one whole, wherever this ends. Its folder is made, 0755, where only that is missing.
  /// - Throws: error 5; the old file stays.
  public func write(to path: String) throws(CNIError) {
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let name = String(slash.map { path[path.utf8.index(after: $0)...] } ?? path[...])
    let folderPath = slash.map { String(path[...$0]) } ?? "."
    mkdir(folderPath, 0o755)
    let folder = try FileDescriptor(path: folderPath, flags: O_RDONLY | O_DIRECTORY)
    // Only a process that was killed leaves this one; the node's lock keeps others out.
    let new = ".\(name).new"
    unlinkat(folder.rawValue, new, 0)
    let raw = humanz_openat(
      folder.rawValue, new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    guard raw >= 0 else { throw ClusterFile.unwritable(path) }
    let file = FileDescriptor(raw)
    do throws(CNIError) {
      try file.writeAll(json.text + [0x0a])
      guard fsync(raw) == 0, renameat(folder.rawValue, new, folder.rawValue, name) == 0 else {
        throw ClusterFile.unwritable(path)
      }
    } catch {
      unlinkat(folder.rawValue, new, 0)
      throw error
    }
  }

  private static func unwritable(_ path: String) -> CNIError {
    CNIError(.io, "cannot write \(path): \(SystemError.last)")
  }

  private var json: JSON {
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
