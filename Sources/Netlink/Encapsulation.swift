// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded

/// How a route's packets are put into packets of a tunnel: lightweight tunnel encapsulation. The next hop's
/// device, such as a VXLAN one, sends them to the address that is given here.
public struct Encapsulation: Equatable, Sendable {
  /// The tunnel's identifier; of VXLAN 24 bits.
  public var id: UInt32
  /// The other end of the tunnel.
  public var destination: IPAddress
  /// nil for the address that the kernel chooses.
  public var source: IPAddress?
  /// Whether routers must not fragment the tunnel's own IPv4 packets, but tell their sender the size that
  /// fits: path MTU discovery (RFC 1191). IPv6's routers never fragment.
  public var dontFragment: Bool

  public init(
    id: UInt32, destination: IPAddress, source: IPAddress? = nil, dontFragment: Bool = false
  ) {
    self.id = id
    self.destination = destination
    self.source = source
    self.dontFragment = dontFragment
  }
}

extension Request {
  /// Adds RTA_ENCAP_TYPE and RTA_ENCAP. Packets over IPv6 get a UDP checksum, without which they are
  /// dropped (RFC 8200 section 8.1). The numbers of LWTUNNEL_IP_… and LWTUNNEL_IP6_… are the same.
  @inline(never)
  mutating func put(_ encapsulation: Encapsulation) {
    let isV6 = encapsulation.destination.family == .v6
    put(
      RTA_ENCAP_TYPE, UInt16((isV6 ? LWTUNNEL_ENCAP_IP6 : LWTUNNEL_ENCAP_IP).rawValue))
    nest(RTA_ENCAP) { tunnel in
      tunnel.put(LWTUNNEL_IP_ID, bigEndian(UInt64(encapsulation.id)))
      tunnel.put(LWTUNNEL_IP_DST, encapsulation.destination.bytes)
      if let source = encapsulation.source { tunnel.put(LWTUNNEL_IP_SRC, source.bytes) }
      let flags = (isV6 ? checksumFlag : 0) | (encapsulation.dontFragment ? dontFragmentFlag : 0)
      tunnel.put(LWTUNNEL_IP_FLAGS, bigEndian(flags))
    }
  }
}

/// TUNNEL_CSUM and TUNNEL_DONT_FRAGMENT of linux/if_tunnel.h, in the host's byte order.
private var checksumFlag: UInt16 { 0x1 }
private var dontFragmentFlag: UInt16 { 0x100 }

extension Encapsulation {
  /// Reads RTA_ENCAP of a tunnel over IP.
  @inline(never)
  init?(_ attributes: Attributes) {
    guard let id = attributes.first(LWTUNNEL_IP_ID)?.value(UInt64.self),
      let destination = attributes.first(LWTUNNEL_IP_DST).flatMap({
        IPAddress(bytes: $0.payload)
      })
    else { return nil }
    let source = attributes.first(LWTUNNEL_IP_SRC).flatMap { IPAddress(bytes: $0.payload) }
    self.init(
      id: UInt32(truncatingIfNeeded: UInt64(bigEndian: id)), destination: destination,
      source: source.flatMap { $0.value == 0 ? nil : $0 },
      dontFragment: UInt16(bigEndian: attributes.first(LWTUNNEL_IP_FLAGS)?.uint16 ?? 0)
        & dontFragmentFlag != 0)
  }
}

extension lwtunnel_ip_t: KernelConstant {}
