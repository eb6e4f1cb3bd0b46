// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded

/// The hardware address of an IP address on a link: an entry of the ARP or neighbour cache.
public struct Neighbour: Equatable, Sendable {
  /// The IP address.
  public var address: IPAddress
  /// The link's index.
  public var index: LinkIndex
  /// nil while it is being resolved, or if no host answered.
  public var mac: MACAddress?
  /// Set by an administrator; it does not expire.
  public var isPermanent: Bool

  public init(
    _ address: IPAddress, index: LinkIndex, mac: MACAddress? = nil, isPermanent: Bool = false
  ) {
    self.address = address
    self.index = index
    self.mac = mac
    self.isPermanent = isPermanent
  }
}

/// The port behind which a bridge finds a hardware address: an entry of its forwarding database.
public struct ForwardingEntry: Equatable, Sendable {
  /// The hardware address.
  public var mac: MACAddress
  /// The port.
  public var index: LinkIndex
  /// The bridge; nil for an entry that is in the link's own list (`self`).
  public var master: LinkIndex?
  /// Set by an administrator, or the port's own address; not learned from a frame.
  public var isPermanent: Bool
  /// The VLAN in which the address is; nil for none.
  public var vlan: UInt16?

  public init(
    _ mac: MACAddress, index: LinkIndex, master: LinkIndex? = nil, isPermanent: Bool = false,
    vlan: UInt16? = nil
  ) {
    self.mac = mac
    self.index = index
    self.master = master
    self.isPermanent = isPermanent
    self.vlan = vlan
  }
}

extension Request {
  /// Deletes an entry of the neighbour cache.
  ///
  /// Equivalent to: `ip neighbour delete 10.1.2.3 dev LINK`. Message: RTM_DELNEIGH.
  public static func deleteNeighbour(_ address: IPAddress, index: LinkIndex) -> Request {
    var request = Request(
      "delete neighbour \(address) of link number \(index)", RTM_DELNEIGH,
      header: Neighbour(address, index: index).header)
    request.put(NDA_DST, address.bytes)
    return request
  }
}

extension Socket where Family == RouteFamily {
  /// The neighbour cache of a link, or of all (nil), of a family or of both (nil).
  ///
  /// Equivalent to: `ip neighbour show dev LINK`. Message: RTM_GETNEIGH with NLM_F_DUMP.
  @inline(never)
  public borrowing func neighbours(
    index: LinkIndex? = nil, family: IPAddress.Family? = nil
  ) throws(NetlinkError) -> [Neighbour] {
    try dump(.getNeighbours(index: index, family: family), Neighbour.init)
      .filter { index == nil || $0.index == index }
  }

  /// The forwarding database of a bridge.
  ///
  /// Equivalent to: `bridge fdb show br cni0`. Message: RTM_GETNEIGH of AF_BRIDGE with NLM_F_DUMP.
  @inline(never)
  public borrowing func forwardingEntries(
    bridge: LinkIndex
  ) throws(NetlinkError) -> [ForwardingEntry] {
    try dump(.getForwardingEntries(bridge: bridge), ForwardingEntry.init)
      .filter { $0.master == bridge || $0.index == bridge }
  }
}

extension Request {
  static func getNeighbours(index: LinkIndex?, family: IPAddress.Family?) -> Request {
    var header = ndmsg()
    header.ndm_family = family?.number ?? UInt8(AF_UNSPEC)
    var request = Request("list neighbours", RTM_GETNEIGH, header: header)
    if let index { request.put(NDA_IFINDEX, index) }
    return request
  }

  static func getForwardingEntries(bridge: LinkIndex) -> Request {
    var header = ndmsg()
    header.ndm_family = UInt8(AF_BRIDGE)
    var request = Request("list forwarding entries", RTM_GETNEIGH, header: header)
    request.put(NDA_MASTER, bridge)
    return request
  }
}

extension Neighbour {
  fileprivate var header: ndmsg {
    var header = ndmsg()
    header.ndm_family = address.family.number
    header.ndm_ifindex = index.rawValue
    return header
  }

  /// Reads RTM_NEWNEIGH of an IP family; nil for anything else.
  init?(_ message: Message) {
    guard RTM_NEWNEIGH ~= message.type, let header = message.header(ndmsg.self),
      IPAddress.Family(number: header.ndm_family) != nil
    else { return nil }
    let attributes = message.attributes(after: ndmsg.self)
    guard let address = attributes.first(NDA_DST).flatMap({ IPAddress(bytes: $0.payload) }) else {
      return nil
    }
    self.init(
      address, index: LinkIndex(header.ndm_ifindex), mac: attributes.mac,
      isPermanent: header.ndm_state & UInt16(NUD_PERMANENT) != 0)
  }
}

extension ForwardingEntry {
  /// Reads RTM_NEWNEIGH of AF_BRIDGE; nil for anything else.
  init?(_ message: Message) {
    guard RTM_NEWNEIGH ~= message.type, let header = message.header(ndmsg.self),
      Int32(header.ndm_family) == AF_BRIDGE
    else { return nil }
    let attributes = message.attributes(after: ndmsg.self)
    guard let mac = attributes.mac else { return nil }
    self.init(
      mac, index: LinkIndex(header.ndm_ifindex), master: attributes.first(NDA_MASTER)?.linkIndex,
      isPermanent: header.ndm_state & UInt16(NUD_PERMANENT | NUD_NOARP) != 0,
      vlan: attributes.first(NDA_VLAN)?.uint16)
  }
}

extension Attributes {
  /// NDA_LLADDR, if it has six bytes.
  fileprivate var mac: MACAddress? {
    guard let address = first(NDA_LLADDR), address.payload.count == 6 else { return nil }
    return MACAddress(bytes: address.bytes)
  }
}
