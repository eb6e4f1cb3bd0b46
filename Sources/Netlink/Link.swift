import CNI
import CNetlink

/// A network interface as the kernel has it.
public struct Link: Equatable {
  public let index: Int32
  public let name: InterfaceName
  /// What made it: `bridge`, `veth`, `macvlan`; nil for a physical one.
  public let kind: String?
  /// nil where it has none or it is not an Ethernet address.
  public let mac: MACAddress?
  /// In bytes.
  public let mtu: Int
  /// IFF_UP: it was brought up.
  public let isUp: Bool
  /// IFF_PROMISC as asked for by somebody.
  public let isPromiscuous: Bool
  /// The index of the bridge it is a port of.
  public let master: Int32?
  public let alias: String?
  /// The index of the link it stands on or is paired with, IFLA_LINK; of another namespace where
  /// `peerNamespaceID` is there.
  public let peerIndex: Int32?
  public let peerNamespaceID: Int32?
  /// What it is as a bridge's port; nil where it is none.
  public let port: BridgePort?

  /// Reads the payload of RTM_NEWLINK; nil where it is cut off.
  init?(_ payload: ArraySlice<UInt8>) {
    guard let header = payload.structure(ifinfomsg()) else { return nil }
    let attributes = Attributes(payload.dropFirst(MemoryLayout<ifinfomsg>.size))
    guard let name = attributes[Int(IFLA_IFNAME)].flatMap({ InterfaceName($0.text) }) else {
      return nil
    }
    let information = attributes[Int(IFLA_LINKINFO)].map { Attributes($0) }
    index = header.ifi_index
    self.name = name
    kind = information?[Int(IFLA_INFO_KIND)]?.text
    mac = attributes[Int(IFLA_ADDRESS)].flatMap {
      $0.count == 6 ? MACAddress(bytes: Array($0)) : nil
    }
    mtu = attributes[Int(IFLA_MTU)].map { Int($0.integer(as: UInt32.self)) } ?? 0
    isUp = header.ifi_flags & UInt32(IFF_UP.rawValue) != 0
    isPromiscuous =
      attributes[Int(IFLA_PROMISCUITY)].map { $0.integer(as: UInt32.self) > 0 } ?? false
    master = attributes[Int(IFLA_MASTER)]?.integer()
    alias = attributes[Int(IFLA_IFALIAS)]?.text
    peerIndex = attributes[Int(IFLA_LINK)]?.integer()
    peerNamespaceID = attributes[Int(IFLA_LINK_NETNSID)]?.integer()
    port =
      information?[Int(IFLA_INFO_SLAVE_KIND)]?.text == "bridge"
      ? information?[Int(IFLA_INFO_SLAVE_DATA)].map { BridgePort(Attributes($0)) } : nil
  }
}

/// How a request names a link.
public enum LinkReference: Equatable, CustomStringConvertible {
  case index(Int32)
  case name(InterfaceName)

  public var description: String {
    switch self {
    case .index(let index): "number \(index)"
    case .name(let name): "\(name)"
    }
  }

  var header: ifinfomsg {
    var header = ifinfomsg()
    if case .index(let index) = self { header.ifi_index = index }
    return header
  }

  func put(into request: inout Request) {
    if case .name(let name) = self { request.put(Int(IFLA_IFNAME), name.description) }
  }
}

extension Socket where Family == RouteFamily {
  /// Looks a link up; nil where there is none.
  /// Equivalent to: `ip link show dev NAME`. Message: RTM_GETLINK.
  public borrowing func link(named name: InterfaceName) throws(NetlinkError) -> Link? {
    try link(.name(name))
  }

  /// Looks a link up; nil where there is none.
  /// Equivalent to: `ip link show`, filtered by index. Message: RTM_GETLINK.
  public borrowing func link(index: Int32) throws(NetlinkError) -> Link? {
    try link(.index(index))
  }

  private borrowing func link(_ reference: LinkReference) throws(NetlinkError) -> Link? {
    var request = Request(
      "look up link \(reference)", type: Int(RTM_GETLINK), header: reference.header)
    reference.put(into: &request)
    request.put(Int(IFLA_EXT_MASK), UInt32(RTEXT_FILTER_SKIP_STATS))
    do throws(NetlinkError) { return Link(try get(request)) } catch {
      if error.errno == ENODEV { return nil }
      throw error
    }
  }

  /// All links, or the ports of a bridge.
  /// Equivalent to: `ip link show [master BRIDGE]`. Message: RTM_GETLINK, dump.
  public borrowing func links(master: Int32? = nil) throws(NetlinkError) -> [Link] {
    var request = Request("list links", type: Int(RTM_GETLINK), header: ifinfomsg())
    request.put(Int(IFLA_EXT_MASK), UInt32(RTEXT_FILTER_SKIP_STATS))
    if let master { request.put(Int(IFLA_MASTER), master) }
    return try dump(request).compactMap { Link($0) }.filter { master == nil || $0.master == master }
  }
}
