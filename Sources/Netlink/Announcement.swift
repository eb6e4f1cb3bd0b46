import CNI
import CNetlink

/// A frame that tells a link's neighbours and switches at which hardware address an IP address is
/// now: those that knew another one forget it.
public struct Announcement: Equatable, Sendable {
  public let address: IPAddress
  public let mac: MACAddress

  public init(_ address: IPAddress, mac: MACAddress) {
    self.address = address
    self.mac = mac
  }

  /// The Ethernet frame: for IPv4 a gratuitous ARP request (RFC 5227 section 2.3), for IPv6 an
  /// unsolicited neighbour advertisement (RFC 4861 section 7.2.6).
  public var frame: [UInt8] {
    address.family == .v4 ? gratuitousARP : neighbourAdvertisement
  }

  private var gratuitousARP: [UInt8] {
    ethernet(to: MACAddress(bytes: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), ETH_P_ARP)
      + bigEndian(UInt16(ARPHRD_ETHER)) + bigEndian(UInt16(ETH_P_IP)) + [6, 4]
      + bigEndian(UInt16(ARPOP_REQUEST)) + mac.bytes + address.bytes
      + [0, 0, 0, 0, 0, 0] + address.bytes
  }

  private var neighbourAdvertisement: [UInt8] {
    let allNodes = IPAddress(.v6, 0xff02 << 112 | 1)
    let message = { (checksum: UInt16) -> [UInt8] in
      // Type 136 with the override flag; the option is the target's link-layer address.
      [136, 0] + bigEndian(checksum) + [0x20, 0, 0, 0] + address.bytes + [2, 1] + mac.bytes
    }
    let length = bigEndian(UInt16(message(0).count))
    let pseudoHeader = address.bytes + allNodes.bytes + [0, 0] + length + [0, 0, 0, 58]
    // The hop limit must be 255: proof that no router has forwarded it.
    let header = [0x60, 0, 0, 0] + length + [58, 255] + address.bytes + allNodes.bytes
    return ethernet(to: MACAddress(bytes: [0x33, 0x33, 0, 0, 0, 1]), ETH_P_IPV6)
      + header + message(internetChecksum(pseudoHeader + message(0)))
  }

  private func ethernet(to destination: MACAddress, _ type: Int32) -> [UInt8] {
    destination.bytes + mac.bytes + bigEndian(UInt16(type))
  }
}

extension NetworkNamespace {
  /// Announces addresses on a link of the namespace, which must be up.
  ///
  /// Equivalent to: `arping -c 1 -U -I LINK ADDRESS`; for IPv6 `ndsend ADDRESS LINK`.
  public borrowing func announce(
    _ addresses: [IPAddress], mac: MACAddress, index: Int32
  ) throws(NetlinkError) {
    try run { () throws(NetlinkError) in
      try Netlink.announce(addresses, mac: mac, index: index)
    }
  }
}

/// Announces addresses on a link of the calling thread's namespace, which must be up.
///
/// Equivalent to: `arping -c 1 -U -I LINK ADDRESS`; for IPv6 `ndsend ADDRESS LINK`. See packet(7).
public func announce(
  _ addresses: [IPAddress], mac: MACAddress, index: Int32
) throws(NetlinkError) {
  let attempt = "announce addresses on link number \(index)"
  // Protocol 0: the socket sends, and receives nothing.
  let descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0)
  guard descriptor >= 0 else { throw .last(attempt) }
  let socket = FileDescriptor(descriptor)
  for address in addresses {
    let frame = Announcement(address, mac: mac).frame
    var destination = sockaddr_ll()
    destination.sll_family = UInt16(AF_PACKET)
    destination.sll_ifindex = index
    let sent = humanz_send_frame(socket.rawValue, frame, frame.count, &destination)
    guard sent == frame.count else { throw .last(attempt) }
  }
}

/// The ones' complement of the ones' complement sum of 16-bit words (RFC 1071).
func internetChecksum(_ bytes: [UInt8]) -> UInt16 {
  var sum: UInt32 = 0
  for (index, byte) in bytes.enumerated() {
    sum += index % 2 == 0 ? UInt32(byte) << 8 : UInt32(byte)
  }
  while sum > 0xffff { sum = sum >> 16 + sum & 0xffff }
  return ~UInt16(sum)
}

/// An integer in network byte order.
public func bigEndian<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
  withUnsafeBytes(of: value.bigEndian) { Array($0) }
}
