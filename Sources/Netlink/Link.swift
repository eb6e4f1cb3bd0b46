// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import System

/// A link, as the kernel reports it.
public struct Link: Equatable, Sendable {
  /// Its number in its namespace.
  public var index: LinkIndex
  /// Its name in its namespace.
  public var name: InterfaceName
  /// `bridge`, `veth`, `vlan`; nil for hardware and the loopback.
  public var kind: String?
  /// nil for a link whose address does not have six bytes.
  public var mac: MACAddress?
  /// In bytes.
  public var mtu: Int
  /// Administratively up (IFF_UP).
  public var isUp: Bool
  /// Up and with a carrier (IFF_RUNNING).
  public var isRunning: Bool
  /// Set to take packets for other hardware addresses too (IFF_PROMISC). What the kernel does by itself, as
  /// for the port of a bridge, does not count.
  public var isPromiscuous: Bool
  /// The bridge (bond, VRF) whose port it is; nil if it is not a port.
  public var master: LinkIndex?
  /// The text that `ip link set dev LINK alias TEXT` gave it (IFLA_IFALIAS); nil if it has none.
  public var alias: String?
  /// The other end of a pair, or the link below a VLAN link, macvlan or tunnel: its index in its own namespace
  /// (IFLA_LINK). nil if the kernel names none.
  public var peerIndex: LinkIndex?
  /// This namespace's ID for the namespace of the other end; nil if the other end is in this namespace
  /// too. See IFLA_LINK_NETNSID.
  public var peerNamespaceID: Int32?
  /// Its settings as a bridge's port; nil for other links.
  public var port: BridgePort?
  /// The group that `ip link set dev LINK group N` puts it in; 0 for a link in none.
  public var group: UInt32 = 0
  /// Of a `vlan` link, 1 to 4094; nil for other links.
  public var vlanID: UInt16?
  /// Whether a bridge filters VLANs; nil if the kernel has no VLAN filtering, and for other links.
  public var filtersVLANs: Bool?
  /// Of a bridge: whether the frames that it forwards pass the rules for IPv4 and IPv6 packets. See
  /// `Request.callNetfilter`.
  public var callsNetfilter = false
  /// Of a `vxlan` link; nil for other links.
  public var vxlan: VXLAN?
}

extension Socket where Family == RouteFamily {
  /// The link with a name; nil if there is none.
  ///
  /// Equivalent to: `ip -details link show dev NAME`. Message: RTM_GETLINK.
  @inline(never)
  public borrowing func link(named name: InterfaceName) throws(NetlinkError) -> Link? {
    try link(.name(name))
  }

  /// The link with an index; nil if there is none.
  ///
  /// Message: RTM_GETLINK.
  @inline(never)
  public borrowing func link(index: LinkIndex) throws(NetlinkError) -> Link? {
    try link(.index(index))
  }

  /// The link; nil if there is none.
  ///
  /// Message: RTM_GETLINK.
  @inline(never)
  public borrowing func link(_ reference: LinkReference) throws(NetlinkError) -> Link? {
    do throws(NetlinkError) {
      return try get(.getLink(reference), Link.init)
    } catch {
      if error.errno == .noDevice { return nil }
      throw error
    }
  }

  /// All links of the namespace, or the ports of a bridge. Links with control characters in their names
  /// are left out.
  ///
  /// Equivalent to: `ip -details link show master cni0`. Message: RTM_GETLINK with NLM_F_DUMP, the
  /// bridge as IFLA_MASTER.
  @inline(never)
  public borrowing func links(master: LinkIndex? = nil) throws(NetlinkError) -> [Link] {
    try dump(.getLinks(master: master), Link.init)
      .filter { master == nil || $0.master == master }
  }
}

extension Request {
  static func getLink(_ link: LinkReference) -> Request {
    var request = Request("read link \(link)", RTM_GETLINK, link: link, header: ifinfomsg())
    request.put(IFLA_EXT_MASK, UInt32(RTEXT_FILTER_SKIP_STATS))
    return request
  }

  static func getLinks(master: LinkIndex?) -> Request {
    var request = Request("list links", RTM_GETLINK, header: ifinfomsg())
    request.put(IFLA_EXT_MASK, UInt32(RTEXT_FILTER_SKIP_STATS))
    if let master { request.put(IFLA_MASTER, master) }
    return request
  }
}

extension Link {
  /// Reads RTM_NEWLINK; nil for anything else.
  init?(_ message: Message) {
    guard RTM_NEWLINK ~= message.type, let header = message.header(ifinfomsg.self) else {
      return nil
    }
    var name: InterfaceName?
    var link = Link(header)
    for attribute in message.attributes(after: ifinfomsg.self) {
      switch attribute.type {
      case IFLA_IFNAME: name = InterfaceName(attribute.string)
      case IFLA_ADDRESS:
        if attribute.payload.count == 6 { link.mac = MACAddress(bytes: attribute.bytes) }
      case IFLA_MTU: link.mtu = Int(attribute.uint32 ?? 0)
      case IFLA_MASTER: link.master = attribute.linkIndex
      case IFLA_IFALIAS: link.alias = attribute.string
      case IFLA_GROUP: link.group = attribute.uint32 ?? 0
      case IFLA_LINK: link.peerIndex = attribute.linkIndex
      case IFLA_LINK_NETNSID: link.peerNamespaceID = attribute.int32
      case IFLA_LINKINFO: link.read(info: attribute.nested)
      default: break
      }
    }
    guard let name else { return nil }
    link.name = name
    self = link
  }

  private init(_ header: ifinfomsg) {
    func isSet(_ flag: net_device_flags) -> Bool { header.ifi_flags & flag.rawValue != 0 }
    self.init(
      index: LinkIndex(header.ifi_index), name: .unnamed, mtu: 0, isUp: isSet(IFF_UP),
      isRunning: isSet(IFF_RUNNING), isPromiscuous: isSet(IFF_PROMISC))
  }

  /// Reads IFLA_LINKINFO. The kinds come before the data whose meaning depends on them.
  private mutating func read(info: Attributes) {
    var masterKind: String?
    for attribute in info {
      switch attribute.type {
      case IFLA_INFO_KIND: kind = attribute.string
      case IFLA_INFO_SLAVE_KIND: masterKind = attribute.string
      case IFLA_INFO_DATA where kind == "vlan":
        vlanID = attribute.nested.first(IFLA_VLAN_ID)?.uint16
      case IFLA_INFO_DATA where kind == "vxlan":
        vxlan = VXLAN(attribute.nested)
      case IFLA_INFO_DATA where kind == "bridge":
        callsNetfilter =
          attribute.nested.first(IFLA_BR_NF_CALL_IPTABLES)?.uint8 == 1
          && attribute.nested.first(IFLA_BR_NF_CALL_IP6TABLES)?.uint8 == 1
        // A kernel without VLAN filtering reports it as off, but does not report the VLAN of new ports.
        if attribute.nested.first(IFLA_BR_VLAN_DEFAULT_PVID) != nil {
          filtersVLANs = attribute.nested.first(IFLA_BR_VLAN_FILTERING)?.uint8 == 1
        }
      case IFLA_INFO_SLAVE_DATA where masterKind == "bridge":
        port = BridgePort(attribute.nested)
      default: break
      }
    }
  }
}

extension InterfaceName {
  /// The name of a link that is still being read.
  fileprivate static let unnamed = InterfaceName("-")!
}
