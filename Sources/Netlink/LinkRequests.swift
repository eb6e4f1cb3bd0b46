// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded

/// How a request names an existing link.
public enum LinkReference: Equatable, Sendable, CustomStringConvertible {
  case index(LinkIndex)
  case name(InterfaceName)

  /// The name, or the index if the name is not known.
  public var description: String {
    switch self {
    case .index(let index): "number \(index)"
    case .name(let name): name.description
    }
  }
}

/// A pair of virtual Ethernet links to be made. Both ends are made down.
public struct VethPair: Equatable, Sendable {
  /// The end in the namespace of the socket.
  public var name: InterfaceName
  /// The hardware address of this end.
  public var mac: MACAddress
  /// In bytes, for both ends; nil for the kernel's 1500.
  public var mtu: Int?
  /// The transmit queues of each end, and as many receive queues, from 1 to 4096; nil for the kernel's
  /// number: one for each possible CPU.
  public var queues: Int?
  /// The bridge that this end becomes a port of; nil for none.
  public var master: LinkIndex?
  /// The other end. It is made in its namespace: a link is never moved between namespaces.
  public var peerName: InterfaceName
  /// The hardware address of the other end.
  public var peerMAC: MACAddress
  /// The open file descriptor of the other end's network namespace. It stays the caller's.
  public var peerNamespace: Int32

  public init(
    name: InterfaceName, mac: MACAddress, mtu: Int? = nil, queues: Int? = nil,
    master: LinkIndex? = nil, peerName: InterfaceName, peerMAC: MACAddress, peerNamespace: Int32
  ) {
    self.name = name
    self.mac = mac
    self.mtu = mtu
    self.queues = queues
    self.master = master
    self.peerName = peerName
    self.peerMAC = peerMAC
    self.peerNamespace = peerNamespace
  }
}

/// Changes of a link. nil leaves a property unchanged, and so does false for `withoutLinkLocal` and `announces`.
public struct LinkChange: Equatable, Sendable {
  /// true sets the link up, false sets it down (IFF_UP).
  public var up: Bool?
  /// A new name: the link must be referred to by its index, and be down.
  public var name: InterfaceName?
  /// A new hardware address.
  public var mac: MACAddress?
  /// In bytes.
  public var mtu: Int?
  /// The bridge to be a port of.
  public var master: LinkIndex?
  /// At most 255 bytes; an empty alias removes it.
  public var alias: String?
  /// Whether the link takes packets for other hardware addresses too (IFF_PROMISC).
  public var promiscuous: Bool?
  /// The group to put the link in; 0 for the group that all links are in at first.
  public var group: UInt32?
  /// Whether the link gets no IPv6 link-local address when it comes up.
  public var withoutLinkLocal: Bool
  /// Whether the link sends a gratuitous ARP for each of its IPv4 addresses whenever it comes up or its
  /// MAC address is set, also to the same address.
  public var announces: Bool

  public init(
    up: Bool? = nil, name: InterfaceName? = nil, mac: MACAddress? = nil, mtu: Int? = nil,
    master: LinkIndex? = nil, alias: String? = nil, promiscuous: Bool? = nil,
    group: UInt32? = nil, withoutLinkLocal: Bool = false, announces: Bool = false
  ) {
    self.up = up
    self.name = name
    self.mac = mac
    self.mtu = mtu
    self.master = master
    self.alias = alias
    self.promiscuous = promiscuous
    self.group = group
    self.withoutLinkLocal = withoutLinkLocal
    self.announces = announces
  }
}

extension Request {
  /// Creates a bridge, down.
  ///
  /// Equivalent to: `ip link add name cni0 address MAC mtu 1500 type bridge`. Message: RTM_NEWLINK.
  /// - Parameters:
  ///   - mac: nil for a random one, until the bridge takes that of a port.
  ///   - mtu: in bytes. With nil the kernel uses the smallest MTU of the bridge's ports, or 1500 while it has
  ///     none.
  public static func addBridge(
    _ name: InterfaceName, mac: MACAddress? = nil, mtu: Int? = nil
  ) -> Request {
    var request = Request(
      "create bridge \(name)", RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, header: ifinfomsg())
    request.putLink(name: name, mac: mac, mtu: mtu)
    request.nest(IFLA_LINKINFO) { $0.put(IFLA_INFO_KIND, "bridge") }
    return request
  }

  /// Creates both ends of a pair in one message, the peer in another namespace.
  ///
  /// Equivalent to: `ip link add name veth0 address MAC mtu 1500 master cni0 type veth
  /// peer name eth0 address MAC mtu 1500 netns POD`. Message: RTM_NEWLINK.
  public static func addVethPair(_ pair: VethPair) -> Request {
    var request = Request(
      "create links \(pair.name) and \(pair.peerName)", RTM_NEWLINK,
      flags: NLM_F_CREATE | NLM_F_EXCL, header: ifinfomsg())
    request.putLink(name: pair.name, mac: pair.mac, mtu: pair.mtu)
    if let queues = pair.queues { request.put(queues: queues) }
    if let master = pair.master { request.put(IFLA_MASTER, master) }
    request.nest(IFLA_LINKINFO) { info in
      info.put(IFLA_INFO_KIND, "veth")
      info.nest(IFLA_INFO_DATA) { data in
        data.nest(VETH_INFO_PEER) { peer in
          peer.put(header: ifinfomsg())
          peer.putLink(name: pair.peerName, mac: pair.peerMAC, mtu: pair.mtu)
          if let queues = pair.queues { peer.put(queues: queues) }
          peer.put(IFLA_NET_NS_FD, pair.peerNamespace)
        }
      }
    }
    return request
  }

  /// Creates a link for one VLAN of another link, down.
  ///
  /// Equivalent to: `ip link add link cni0 name cni0.100 type vlan id 100`. Message: RTM_NEWLINK.
  /// - Parameters:
  ///   - parent: the link whose VLAN it is.
  ///   - id: 1 to 4094.
  ///   - mac: nil for the parent's.
  ///   - mtu: in bytes; nil for the parent's.
  public static func addVLAN(
    _ name: InterfaceName, parent: LinkIndex, id: UInt16, mac: MACAddress? = nil, mtu: Int? = nil
  ) -> Request {
    var request = Request(
      "create VLAN link \(name)", RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL,
      header: ifinfomsg())
    request.putLink(name: name, mac: mac, mtu: mtu)
    request.put(IFLA_LINK, parent)
    request.nest(IFLA_LINKINFO) { info in
      info.put(IFLA_INFO_KIND, "vlan")
      info.nest(IFLA_INFO_DATA) { $0.put(IFLA_VLAN_ID, id) }
    }
    return request
  }

  /// Changes a link.
  ///
  /// Equivalent to: `ip link set dev LINK up name eth0 mtu 1400 master cni0 alias TEXT promisc on
  /// addrgenmode none`, `sysctl -w net.ipv4.conf.LINK.arp_notify=1`. Message: RTM_NEWLINK.
  public static func changeLink(_ link: LinkReference, _ change: LinkChange) -> Request {
    var header = ifinfomsg()
    for (flag, value) in [(IFF_UP, change.up), (IFF_PROMISC, change.promiscuous)] {
      guard let value else { continue }
      header.ifi_change |= flag.rawValue
      if value { header.ifi_flags |= flag.rawValue }
    }
    var request = Request(
      "change link \(link) (\(change))", RTM_NEWLINK, link: link, header: header)
    if let name = change.name {
      guard case .index = link else { preconditionFailure("renaming a link takes its index") }
      request.put(IFLA_IFNAME, name.description)
    }
    if let mac = change.mac { request.put(IFLA_ADDRESS, mac.bytes) }
    if let mtu = change.mtu { request.put(IFLA_MTU, UInt32(mtu)) }
    if let master = change.master { request.put(IFLA_MASTER, master) }
    if let alias = change.alias { request.put(IFLA_IFALIAS, Array(alias.utf8)) }
    if let group = change.group { request.put(IFLA_GROUP, group) }
    guard change.withoutLinkLocal || change.announces else { return request }
    // One attribute for both families: of two the kernel would read only one.
    request.nest(IFLA_AF_SPEC) { families in
      if change.withoutLinkLocal {
        families.nest(AF_INET6) {
          $0.put(IFLA_INET6_ADDR_GEN_MODE, UInt8(IN6_ADDR_GEN_MODE_NONE.rawValue))
        }
      }
      if change.announces {
        families.nest(AF_INET) {
          $0.nest(IFLA_INET_CONF) { $0.put(IPV4_DEVCONF_ARP_NOTIFY, 1 as UInt32) }
        }
      }
    }
    return request
  }

  /// Deletes a link; of a pair, both ends.
  ///
  /// Equivalent to: `ip link delete dev LINK`. Message: RTM_DELLINK.
  public static func deleteLink(_ link: LinkReference) -> Request {
    Request("delete link \(link)", RTM_DELLINK, link: link, header: ifinfomsg())
  }

  /// Deletes all links of a group. This takes little longer than to delete one link.
  ///
  /// Equivalent to: `ip link delete group GROUP`. Message: RTM_DELLINK.
  public static func deleteLinks(group: UInt32) -> Request {
    var request = Request("delete links of group \(group)", RTM_DELLINK, header: ifinfomsg())
    request.put(IFLA_GROUP, group)
    return request
  }

  /// Begins a message about an existing link.
  init(
    _ attempt: String, _ type: some KernelConstant, flags: Int32 = 0, link: LinkReference,
    header: ifinfomsg
  ) {
    var header = header
    switch link {
    case .index(let index):
      header.ifi_index = index.rawValue
      self.init(attempt, type, flags: flags, header: header)
    case .name(let name):
      self.init(attempt, type, flags: flags, header: header)
      put(IFLA_IFNAME, name.description)
    }
  }

  private mutating func putLink(name: InterfaceName, mac: MACAddress?, mtu: Int?) {
    put(IFLA_IFNAME, name.description)
    if let mac { put(IFLA_ADDRESS, mac.bytes) }
    if let mtu { put(IFLA_MTU, UInt32(mtu)) }
  }

  private mutating func put(queues: Int) {
    put(IFLA_NUM_TX_QUEUES, UInt32(queues))
    put(IFLA_NUM_RX_QUEUES, UInt32(queues))
  }
}

extension LinkChange: CustomStringConvertible {
  /// What changes, in the words of `ip link set`: `up, master`.
  public var description: String {
    let changes: [(String, Bool)] = [
      ("up", up == true), ("down", up == false), ("name", name != nil), ("address", mac != nil),
      ("mtu", mtu != nil), ("master", master != nil), ("alias", alias != nil),
      ("promisc on", promiscuous == true),
      ("promisc off", promiscuous == false), ("group", group != nil),
      ("addrgenmode none", withoutLinkLocal),
      ("arp_notify", announces),
    ]
    return changes.filter { $0.1 }.map { $0.0 }.joined(separator: ", ")
  }
}
