import CNI
import CNetlink
import Netlink

/// The kernel's table of connections, as far as addresses change hands.
public enum ConnectionTracking {
  /// Forgets every connection from or to an address, also by another address that was translated to
  /// it: the next owner's packets would be taken for them. Does nothing where no connections are
  /// tracked.
  ///
  /// The kernel answers any question about connections by walking its whole table, some milliseconds
  /// on a large node: where they are few, it is walked once for all addresses.
  /// - Parameter few: how many connections at most are asked for at once, of 0.3 KB each.
  ///
  /// Equivalent to: `conntrack -D --orig-src ADDRESS` and `conntrack -D --reply-src ADDRESS`.
  /// Messages: IPCTNL_MSG_CT_GET with NLM_F_DUMP and, where there are many, CTA_FILTER (from kernels
  /// before 5.8 all come), IPCTNL_MSG_CT_DELETE.
  public static func forget(
    _ addresses: [IPAddress], few: Int = 4096
  ) throws(NetlinkError) {
    guard !addresses.isEmpty,
      let count = Sysctl.read("net/netfilter/nf_conntrack_count").flatMap({ Int($0) }), count > 0
    else { return }
    let socket = try NetfilterSocket()
    var questions = [Request.getConnections()]
    if count > few {
      questions = addresses.flatMap { address in
        [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY].map { .getConnections(from: address, in: $0) }
      }
    }
    do throws(NetlinkError) {
      for question in questions { try forget(addresses, askingFor: question, socket) }
    } catch {
      // Connections may be tracked where nobody can ask about them: without nf_conntrack_netlink.
      if !error.isUnsupported { throw error }
    }
  }

  private static func forget(
    _ addresses: [IPAddress], askingFor request: Request, _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) {
    let requests = try socket.dump(request) { message in
      TrackedConnection(message).flatMap { connection in
        connection.sources.contains(where: addresses.contains)
          ? Request.deleteConnection(connection) : nil
      }
    }
    for failure in try socket.failures(performing: requests) where !failure.error.isMissing {
      throw failure.error
    }
  }
}

/// What names a connection to the kernel.
struct TrackedConnection {
  let family: UInt8
  /// CTA_TUPLE_ORIG.
  let original: [UInt8]
  /// CTA_ZONE, where it is in one.
  let zone: [UInt8]?
  /// CTA_ID: another connection with the same addresses and ports has another.
  let id: [UInt8]?
  /// Who sends in each direction.
  let sources: [IPAddress]

  /// Reads IPCTNL_MSG_CT_NEW; nil for anything else.
  init?(_ message: Message) {
    guard Int32(message.type) == NFNL_SUBSYS_CTNETLINK << 8 | Int32(IPCTNL_MSG_CT_NEW.rawValue),
      let header = message.header(nfgenmsg.self)
    else { return nil }
    let attributes = message.attributes(after: nfgenmsg.self)
    guard let original = attributes.first(CTA_TUPLE_ORIG) else { return nil }
    family = header.nfgen_family
    self.original = original.bytes
    zone = attributes.first(CTA_ZONE)?.bytes
    id = attributes.first(CTA_ID)?.bytes
    sources = [original, attributes.first(CTA_TUPLE_REPLY)].compactMap { tuple in
      let addresses = tuple?.nested.first(CTA_TUPLE_IP)?.nested
      let source = addresses?.first(CTA_IP_V4_SRC) ?? addresses?.first(CTA_IP_V6_SRC)
      return source.flatMap { IPAddress(bytes: $0.payload) }
    }
  }
}

extension Request {
  /// CTA_FILTER_F_CTA_IP_SRC, of net/netfilter/nf_internals.h: compare the tuple's source address.
  private static var sourceFlag: UInt32 { 1 << 0 }

  /// All connections.
  static func getConnections() -> Request {
    Request("list connections", connections: IPCTNL_MSG_CT_GET, UInt8(AF_UNSPEC))
  }

  /// Those that an address sends in, in one of the directions, and maybe others.
  static func getConnections(from address: IPAddress, in tuple: ctattr_type) -> Request {
    var request = Request(
      "list connections of \(address)", connections: IPCTNL_MSG_CT_GET, address.family.number)
    // Kernels since 5.8 compare IPv6 addresses the wrong way round and leave out what was asked for.
    if address.family == .v6 { return request }
    request.nest(tuple) { tuple in
      tuple.nest(CTA_TUPLE_IP) { $0.put(CTA_IP_V4_SRC, address.bytes) }
    }
    request.nest(CTA_FILTER) { filter in
      let isOriginal = tuple == CTA_TUPLE_ORIG
      filter.put(CTA_FILTER_ORIG_FLAGS, isOriginal ? sourceFlag : 0)
      filter.put(CTA_FILTER_REPLY_FLAGS, isOriginal ? 0 : sourceFlag)
    }
    return request
  }

  static func deleteConnection(_ connection: TrackedConnection) -> Request {
    var request = Request(
      "delete a connection", connections: IPCTNL_MSG_CT_DELETE, connection.family)
    request.put(UInt32(NLA_F_NESTED) | CTA_TUPLE_ORIG.rawValue, connection.original)
    if let zone = connection.zone { request.put(CTA_ZONE, zone) }
    if let id = connection.id { request.put(CTA_ID, id) }
    return request
  }

  private init(_ attempt: String, connections message: cntl_msg_types, _ family: UInt8) {
    var header = nfgenmsg()
    header.nfgen_family = family
    self.init(attempt, NFNL_SUBSYS_CTNETLINK << 8 | Int32(message.rawValue), header: header)
  }
}
