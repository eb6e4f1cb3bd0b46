import CNI
import CNetlink

/// A veth pair to be made in one message.
public struct VethPair {
  public let name: InterfaceName
  public let mac: MACAddress
  /// Of both ends, in bytes; nil: the kernel's 1500.
  public let mtu: Int?
  /// The index of the bridge that `name` becomes a port of.
  public let master: Int32?
  public let peerName: InterfaceName
  public let peerMAC: MACAddress
  /// A descriptor of the network namespace the peer is made in.
  public let peerNamespace: Int32

  public init(
    name: InterfaceName, mac: MACAddress, mtu: Int?, master: Int32?, peerName: InterfaceName,
    peerMAC: MACAddress, peerNamespace: Int32
  ) {
    self.name = name
    self.mac = mac
    self.mtu = mtu
    self.master = master
    self.peerName = peerName
    self.peerMAC = peerMAC
    self.peerNamespace = peerNamespace
  }
}

/// What is to change of a link; nil leaves a thing as it is.
public struct LinkChange {
  public var up: Bool?
  public var name: InterfaceName?
  public var mac: MACAddress?
  /// In bytes.
  public var mtu: Int?
  /// The index of a bridge; 0 releases the link from the one it is a port of.
  public var master: Int32?
  /// 255 bytes at most.
  public var alias: String?
  public var promiscuous: Bool?
  /// No IPv6 link-local address of the kernel's making: for a bridge's port, which has no use for one.
  public var withoutLinkLocal: Bool

  public init(
    up: Bool? = nil, name: InterfaceName? = nil, mac: MACAddress? = nil, mtu: Int? = nil,
    master: Int32? = nil, alias: String? = nil, promiscuous: Bool? = nil,
    withoutLinkLocal: Bool = false
  ) {
    self.up = up
    self.name = name
    self.mac = mac
    self.mtu = mtu
    self.master = master
    self.alias = alias
    self.promiscuous = promiscuous
    self.withoutLinkLocal = withoutLinkLocal
  }
}

extension Request {
  /// Equivalent to: `ip link add NAME [address MAC] [mtu MTU] type bridge`. Message: RTM_NEWLINK.
  public static func addBridge(_ name: InterfaceName, mac: MACAddress?, mtu: Int?) -> Request {
    var request = Request(
      "create bridge \(name)", type: Int(RTM_NEWLINK), flags: NLM_F_CREATE | NLM_F_EXCL,
      header: ifinfomsg())
    request.put(Int(IFLA_IFNAME), name.description)
    if let mac { request.put(Int(IFLA_ADDRESS), mac.bytes) }
    if let mtu { request.put(Int(IFLA_MTU), UInt32(mtu)) }
    request.nest(Int(IFLA_LINKINFO)) { $0.put(Int(IFLA_INFO_KIND), "bridge") }
    return request
  }

  /// Makes both ends where they belong; no link is ever moved. Both are down: the kernel refuses to
  /// bring up an end whose peer is not there yet.
  /// Equivalent to: `ip link add NAME … master BRIDGE type veth peer name PEER netns NS`.
  /// Message: RTM_NEWLINK with VETH_INFO_PEER.
  public static func addVethPair(_ pair: VethPair) -> Request {
    var request = Request(
      "create the veth pair \(pair.name) and \(pair.peerName)", type: Int(RTM_NEWLINK),
      flags: NLM_F_CREATE | NLM_F_EXCL, header: ifinfomsg())
    request.put(Int(IFLA_IFNAME), pair.name.description)
    request.put(Int(IFLA_ADDRESS), pair.mac.bytes)
    if let mtu = pair.mtu { request.put(Int(IFLA_MTU), UInt32(mtu)) }
    if let master = pair.master { request.put(Int(IFLA_MASTER), master) }
    request.nest(Int(IFLA_LINKINFO)) { request in
      request.put(Int(IFLA_INFO_KIND), "veth")
      request.nest(Int(IFLA_INFO_DATA)) { request in
        request.nest(Int(VETH_INFO_PEER)) { request in
          request.putHeader(ifinfomsg())
          request.put(Int(IFLA_IFNAME), pair.peerName.description)
          request.put(Int(IFLA_ADDRESS), pair.peerMAC.bytes)
          if let mtu = pair.mtu { request.put(Int(IFLA_MTU), UInt32(mtu)) }
          request.put(Int(IFLA_NET_NS_FD), pair.peerNamespace)
        }
      }
    }
    return request
  }

  /// Equivalent to: `ip link set LINK …`. Message: RTM_NEWLINK.
  public static func changeLink(_ link: LinkReference, _ change: LinkChange) -> Request {
    var header = link.header
    func set(_ flag: net_device_flags, _ on: Bool?) {
      guard let on else { return }
      header.ifi_change |= flag.rawValue
      if on { header.ifi_flags |= flag.rawValue }
    }
    set(IFF_UP, change.up)
    set(IFF_PROMISC, change.promiscuous)
    var request = Request("change link \(link)", type: Int(RTM_NEWLINK), header: header)
    switch link {
    case .index: if let name = change.name { request.put(Int(IFLA_IFNAME), name.description) }
    case .name: link.put(into: &request)
    }
    if let mac = change.mac { request.put(Int(IFLA_ADDRESS), mac.bytes) }
    if let mtu = change.mtu { request.put(Int(IFLA_MTU), UInt32(mtu)) }
    if let master = change.master { request.put(Int(IFLA_MASTER), master) }
    if let alias = change.alias { request.put(Int(IFLA_IFALIAS), Array(alias.utf8)) }
    if change.withoutLinkLocal {
      request.nest(Int(IFLA_AF_SPEC)) { request in
        request.nest(Int(AF_INET6)) { request in
          request.put(Int(IFLA_INET6_ADDR_GEN_MODE), UInt8(IN6_ADDR_GEN_MODE_NONE.rawValue))
        }
      }
    }
    return request
  }

  /// Equivalent to: `ip link delete LINK`. Message: RTM_DELLINK.
  public static func deleteLink(_ link: LinkReference) -> Request {
    var request = Request("delete link \(link)", type: Int(RTM_DELLINK), header: link.header)
    link.put(into: &request)
    return request
  }
}
