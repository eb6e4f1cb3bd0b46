// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import Netlink

/// The kernel's table of tracked connections, for addresses that get a new owner.
public enum ConnectionTracking {
  /// Deletes every connection from or to an address, translated ones included: the kernel would match packets
  /// of the address's next owner to them. Does nothing if no connections are tracked, or nf_conntrack_netlink
  /// is missing.
  ///
  /// Since Linux 6.11 the kernel deletes by IPv4 address in one step. Older kernels list connections, and
  /// walk the whole table for each request, 10 ms on a large node; since Linux 5.8 they list those of one
  /// IPv4 address. The kernel's filter for IPv6 addresses leaves out the connections it should list, so all
  /// IPv6 connections are listed, once for all addresses, and none is kept in memory.
  ///
  /// Equivalent to: `conntrack -D --orig-src ADDRESS` and `conntrack -D --reply-src ADDRESS`. Messages:
  /// IPCTNL_MSG_CT_DELETE with CTA_FILTER; IPCTNL_MSG_CT_GET with NLM_F_DUMP and, if there are many,
  /// CTA_FILTER (from kernels before 5.8 all come); then IPCTNL_MSG_CT_DELETE for each.
  /// - Parameters:
  ///   - unfiltered: up to this number of connections are listed without a filter.
  ///   - alwaysLists: whether to list connections, as older kernels need it, on any kernel.
  /// - Throws: if the kernel refuses or has no nfnetlink; `notPermitted` without CAP_NET_ADMIN. The
  ///   connections deleted until then are gone.
  public static func forget(
    _ addresses: [IPAddress], unfiltered: Int = 4096, alwaysLists: Bool = false
  ) throws(NetlinkError) {
    guard !addresses.isEmpty,
      let count = Sysctl.read("net/netfilter/nf_conntrack_count").flatMap({ Int($0) }), count > 0
    else { return }
    let socket = try NetfilterSocket()
    var addresses = addresses
    if !alwaysLists, try deleteByFilter(addresses.filter { $0.family == .v4 }, socket) {
      addresses.removeAll { $0.family == .v4 }
      if addresses.isEmpty { return }
    }
    do throws(NetlinkError) {
      for list in lists(of: addresses, areFiltered: count > unfiltered) {
        try forget(addresses, among: list, socket)
      }
    } catch {
      // Without nf_conntrack_netlink connections are tracked but cannot be listed.
      if !error.isUnsupported { throw error }
    }
  }

  private static var tuples: [ctattr_type] { [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY] }

  @inline(never)
  private static func lists(of addresses: [IPAddress], areFiltered: Bool) -> [Request] {
    let v4 = addresses.filter { $0.family == .v4 }
    let hasV6 = v4.count < addresses.count
    if !areFiltered {
      return [.getConnections(v4.isEmpty ? .v6 : hasV6 ? nil : .v4)]
    }
    let filtered = v4.flatMap { address in
      tuples.map { Request.getConnections(from: address, in: $0) }
    }
    return filtered + (hasV6 ? [.getConnections(.v6)] : [])
  }

  /// - Returns: false if the kernel cannot delete by address; it has deleted nothing then.
  @inline(never)
  private static func deleteByFilter(
    _ addresses: [IPAddress], _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) -> Bool {
    let requests = addresses.flatMap { address in
      tuples.map { Request.deleteConnections(from: address, in: $0) }
    }
    return try socket.failures(performing: requests).isEmpty
  }

  private static func forget(
    _ addresses: [IPAddress], among list: Request, _ socket: borrowing NetfilterSocket
  ) throws(NetlinkError) {
    let bytes = addresses.map { $0.bytes }
    var requests: [Request] = []
    try socket.forEach(of: list) { message in
      guard TrackedConnection.hasSource(message, among: bytes),
        let connection = TrackedConnection(message)
      else { return }
      requests.append(.deleteConnection(connection))
    }
    for failure in try socket.failures(performing: requests) where !failure.error.isMissing {
      throw failure.error
    }
  }
}

/// What identifies a connection to the kernel.
struct TrackedConnection {
  let family: UInt8
  /// CTA_TUPLE_ORIG.
  let original: [UInt8]
  /// CTA_ZONE, if it is in one.
  let zone: [UInt8]?
  /// CTA_ID: another connection with the same addresses and ports has another.
  let id: [UInt8]?

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
  }

  /// Whether the sender of one of the directions is among addresses. They are given as bytes, so that the
  /// sender need not be decoded: a table may have a million connections, most of them of other addresses.
  static func hasSource(_ message: Message, among addresses: [[UInt8]]) -> Bool {
    for attribute in message.attributes(after: nfgenmsg.self) {
      guard CTA_TUPLE_ORIG ~= attribute.type || CTA_TUPLE_REPLY ~= attribute.type,
        let ip = attribute.nested.first(CTA_TUPLE_IP)?.nested,
        let source = ip.first(CTA_IP_V4_SRC) ?? ip.first(CTA_IP_V6_SRC)
      else { continue }
      if addresses.contains(where: { $0.elementsEqual(source.payload) }) { return true }
    }
    return false
  }
}

extension Request {
  /// CTA_FILTER_F_CTA_IP_SRC, of net/netfilter/nf_internals.h: compare the tuple's source address.
  private static var sourceFlag: UInt32 { 1 << 0 }

  /// All connections, or those of a family.
  static func getConnections(_ family: IPAddress.Family?) -> Request {
    Request(
      "list tracked connections", connections: IPCTNL_MSG_CT_GET, family?.number ?? UInt8(AF_UNSPEC)
    )
  }

  /// The connections in one of whose directions an IPv4 address is the source. Old kernels list others too.
  static func getConnections(from address: IPAddress, in tuple: ctattr_type) -> Request {
    var request = Request(
      "list connections of \(address)", connections: IPCTNL_MSG_CT_GET, address.family.number)
    request.filter(by: address, in: tuple)
    return request
  }

  /// Deletes the connections in one of whose directions an IPv4 address is the source.
  static func deleteConnections(from address: IPAddress, in tuple: ctattr_type) -> Request {
    var request = Request(
      "delete connections of \(address)", connections: IPCTNL_MSG_CT_DELETE, address.family.number)
    request.filter(by: address, in: tuple)
    return request
  }

  private mutating func filter(by address: IPAddress, in tuple: ctattr_type) {
    nest(tuple) { tuple in
      tuple.nest(CTA_TUPLE_IP) { $0.put(CTA_IP_V4_SRC, address.bytes) }
    }
    nest(CTA_FILTER) { filter in
      let isOriginal = tuple == CTA_TUPLE_ORIG
      filter.put(CTA_FILTER_ORIG_FLAGS, isOriginal ? Request.sourceFlag : 0)
      filter.put(CTA_FILTER_REPLY_FLAGS, isOriginal ? 0 : Request.sourceFlag)
    }
  }

  static func deleteConnection(_ connection: TrackedConnection) -> Request {
    var request = Request(
      "delete a tracked connection", connections: IPCTNL_MSG_CT_DELETE, connection.family)
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
