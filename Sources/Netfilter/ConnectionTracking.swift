import CNI
import CNetlink
import Netlink

/// The kernel's table of connections, as far as addresses change hands.
public enum ConnectionTracking {
  /// Forgets every connection from or to an address, also by another address that was translated to
  /// it: the next owner's packets would be taken for them. Does nothing where no connections are
  /// tracked.
  ///
  /// Equivalent to: `conntrack -D --orig-src ADDRESS` and `conntrack -D --reply-src ADDRESS`.
  /// Messages: IPCTNL_MSG_CT_GET with NLM_F_DUMP and, for IPv4, CTA_FILTER (without it, and
  /// from kernels before 5.8, all connections come and are filtered here), IPCTNL_MSG_CT_DELETE.
  public static func forget(
    _ addresses: [IPAddress], _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) {
    guard let count = Sysctl.read("net/netfilter/nf_conntrack_count"), count != "0" else { return }
    for address in addresses {
      for tuple in [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY] {
        let connections = try socket.dump(.getConnections(with: address, in: tuple)) { message in
          Connection(message, with: address, in: tuple)
        }
        let requests = connections.map { Request.deleteConnection($0, of: address) }
        for failure in try socket.failures(performing: requests) where !failure.error.isMissing {
          throw failure.error
        }
      }
    }
  }
}

/// What names a connection to the kernel.
struct Connection {
  /// CTA_TUPLE_ORIG.
  let original: [UInt8]
  /// CTA_ZONE, where it is in one.
  let zone: [UInt8]?
  /// CTA_ID: another connection with the same addresses and ports has another.
  let id: [UInt8]?

  /// Reads IPCTNL_MSG_CT_NEW; nil for a connection in whose tuple the address is not the source.
  init?(_ message: Message, with address: IPAddress, in tuple: ctattr_type) {
    guard Int32(message.type) == NFNL_SUBSYS_CTNETLINK << 8 | Int32(IPCTNL_MSG_CT_NEW.rawValue)
    else { return nil }
    let attributes = message.attributes(after: nfgenmsg.self)
    let source = address.family == .v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC
    guard let original = attributes.first(CTA_TUPLE_ORIG),
      attributes.first(tuple)?.nested.first(CTA_TUPLE_IP)?.nested.first(source)?.bytes
        == address.bytes
    else { return nil }
    self.original = original.bytes
    zone = attributes.first(CTA_ZONE)?.bytes
    id = attributes.first(CTA_ID)?.bytes
  }
}

extension Request {
  /// CTA_FILTER_F_CTA_IP_SRC, of net/netfilter/nf_internals.h: compare the tuple's source address.
  private static var sourceFlag: UInt32 { 1 << 0 }

  static func getConnections(with address: IPAddress, in tuple: ctattr_type) -> Request {
    var request = Request(
      "list connections of \(address)", connections: IPCTNL_MSG_CT_GET, address.family)
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

  static func deleteConnection(_ connection: Connection, of address: IPAddress) -> Request {
    var request = Request(
      "delete a connection of \(address)", connections: IPCTNL_MSG_CT_DELETE, address.family)
    request.put(UInt32(NLA_F_NESTED) | CTA_TUPLE_ORIG.rawValue, connection.original)
    if let zone = connection.zone { request.put(CTA_ZONE, zone) }
    if let id = connection.id { request.put(CTA_ID, id) }
    return request
  }

  private init(_ attempt: String, connections message: cntl_msg_types, _ family: IPAddress.Family) {
    var header = nfgenmsg()
    header.nfgen_family = family.number
    self.init(attempt, NFNL_SUBSYS_CTNETLINK << 8 | Int32(message.rawValue), header: header)
  }
}
