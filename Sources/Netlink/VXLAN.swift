// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded

/// A VXLAN link for which each route names the other end of the tunnel (`external`), and which carries IP
/// packets without an Ethernet header (`gpe`). See draft-ietf-nvo3-vxlan-gpe.
///
/// Without Ethernet a peer has no hardware address to look up: one route for each peer is enough.
public struct VXLAN: Equatable, Sendable {
  /// IANA's UDP port for VXLAN-GPE.
  public static let defaultPort: UInt16 = 4790

  /// The UDP port.
  public var port: UInt16
  /// Whether each route names the other end of the tunnel: `external`, IFLA_VXLAN_COLLECT_METADATA.
  public var isExternal: Bool
  /// Whether packets have a header of VXLAN-GPE, and so no Ethernet header: `gpe`, IFLA_VXLAN_GPE.
  public var isGPE: Bool

  public init(port: UInt16, isExternal: Bool = true, isGPE: Bool = true) {
    self.port = port
    self.isExternal = isExternal
    self.isGPE = isGPE
  }

  /// The size of the headers that a packet gets, in bytes: outer IP, UDP and VXLAN.
  public static func overhead(over family: IPAddress.Family) -> UInt32 {
    (family == .v4 ? 20 : 40) + 8 + 8
  }
}

extension Request {
  /// Creates a VXLAN link, down.
  ///
  /// Equivalent to: `ip link add NAME mtu 1464 type vxlan external gpe dstport 4790 nolearning`. Message:
  /// RTM_NEWLINK.
  /// - Parameter mtu: in bytes; nil for the kernel's default.
  public static func addVXLAN(_ name: InterfaceName, _ vxlan: VXLAN, mtu: Int? = nil) -> Request {
    var request = Request(
      "create VXLAN link \(name)", RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL,
      header: ifinfomsg())
    request.put(IFLA_IFNAME, name.description)
    if let mtu { request.put(IFLA_MTU, UInt32(mtu)) }
    request.nest(IFLA_LINKINFO) { info in
      info.put(IFLA_INFO_KIND, "vxlan")
      info.nest(IFLA_INFO_DATA) { data in
        data.put(IFLA_VXLAN_PORT, bigEndian(vxlan.port))
        data.put(IFLA_VXLAN_LEARNING, 0 as UInt8)
        if vxlan.isExternal { data.put(IFLA_VXLAN_COLLECT_METADATA, 1 as UInt8) }
        if vxlan.isGPE { data.put(IFLA_VXLAN_GPE, [] as [UInt8]) }
      }
    }
    return request
  }
}

extension VXLAN {
  /// Reads IFLA_INFO_DATA of a link of the kind `vxlan`.
  @inline(never)
  init(_ data: Attributes) {
    self.init(
      port: data.first(IFLA_VXLAN_PORT)?.uint16.map { UInt16(bigEndian: $0) } ?? 0,
      isExternal: data.first(IFLA_VXLAN_COLLECT_METADATA)?.uint8 == 1,
      isGPE: data.first(IFLA_VXLAN_GPE) != nil)
  }
}
