// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded

/// An address on a link.
public struct InterfaceAddress: Equatable, Sendable {
  /// The address with the prefix length of its network.
  public var prefix: IPPrefix
  /// The link.
  public var index: LinkIndex
  /// IPv6: usable at once, without duplicate address detection (RFC 4862 section 5.4). For addresses
  /// that an allocator gives to one holder only.
  public var skipsDAD: Bool
  /// IPv6, read only: not usable yet, duplicate address detection is running.
  public var isTentative: Bool
  /// IPv6, read only: not usable, another interface has it.
  public var isDuplicate: Bool

  public init(prefix: IPPrefix, index: LinkIndex, skipsDAD: Bool = false) {
    self.prefix = prefix
    self.index = index
    self.skipsDAD = skipsDAD
    isTentative = false
    isDuplicate = false
  }
}

extension Request {
  /// Adds an address to a link. It is not an error if the link has it.
  ///
  /// Equivalent to: `ip address replace 10.1.2.3/24 broadcast + dev LINK`, for IPv6 with `nodad`.
  /// Message: RTM_NEWADDR.
  public static func replaceAddress(_ address: InterfaceAddress) -> Request {
    Request("set", RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_REPLACE, address)
  }

  /// Removes an address from a link.
  ///
  /// Equivalent to: `ip address delete 10.1.2.3/24 dev LINK`. Message: RTM_DELADDR.
  public static func deleteAddress(_ address: InterfaceAddress) -> Request {
    Request("delete", RTM_DELADDR, address)
  }

  private init(
    _ verb: String, _ type: Int, flags: Int32 = 0, _ address: InterfaceAddress
  ) {
    let prefix = address.prefix
    self.init(
      "\(verb) address \(prefix) of link number \(address.index)", type, flags: flags,
      header: ifaddrmsg(
        ifa_family: prefix.family.number, ifa_prefixlen: UInt8(prefix.length),
        ifa_flags: address.skipsDAD && prefix.family == .v6 ? UInt8(IFA_F_NODAD) : 0,
        ifa_scope: UInt8(RT_SCOPE_UNIVERSE.rawValue),
        ifa_index: UInt32(bitPattern: address.index.rawValue)))
    put(IFA_LOCAL, prefix.address.bytes)
    put(IFA_ADDRESS, prefix.address.bytes)
    if prefix.family == .v4, prefix.length <= 30, type != RTM_DELADDR {
      put(IFA_BROADCAST, prefix.last.bytes)
    }
  }
}

extension Socket where Family == RouteFamily {
  /// The addresses of a link, or of all (nil), of a family or of both (nil).
  ///
  /// Equivalent to: `ip address show dev LINK`. Message: RTM_GETADDR with NLM_F_DUMP.
  @inline(never)
  public borrowing func addresses(
    index: LinkIndex? = nil, family: IPAddress.Family? = nil
  ) throws(NetlinkError) -> [InterfaceAddress] {
    let all = try dump(.getAddresses(index: index, family: family), InterfaceAddress.init)
    return all.filter {
      (index == nil || $0.index == index) && (family == nil || $0.prefix.family == family)
    }
  }
}

extension Request {
  static func getAddresses(index: LinkIndex?, family: IPAddress.Family?) -> Request {
    var header = ifaddrmsg()
    header.ifa_family = family?.number ?? UInt8(AF_UNSPEC)
    header.ifa_index = UInt32(bitPattern: index?.rawValue ?? 0)
    return Request("list addresses", RTM_GETADDR, header: header)
  }
}

extension InterfaceAddress {
  /// Reads RTM_NEWADDR; nil for anything else.
  init?(_ message: Message) {
    guard RTM_NEWADDR ~= message.type, let header = message.header(ifaddrmsg.self) else {
      return nil
    }
    // On a point-to-point link IFA_ADDRESS is the other end's. IPv6 has IFA_LOCAL only there.
    var address: IPAddress?
    var local: IPAddress?
    var flags = UInt32(header.ifa_flags)
    for attribute in message.attributes(after: ifaddrmsg.self) {
      switch attribute.type {
      case IFA_ADDRESS: address = IPAddress(bytes: attribute.payload)
      case IFA_LOCAL: local = IPAddress(bytes: attribute.payload)
      case IFA_FLAGS: flags = attribute.uint32 ?? flags
      default: break
      }
    }
    guard let own = local ?? address, own.family.number == header.ifa_family,
      Int(header.ifa_prefixlen) <= own.family.bits
    else { return nil }
    self.init(
      prefix: IPPrefix(own, length: Int(header.ifa_prefixlen)),
      index: LinkIndex(Int32(bitPattern: header.ifa_index)))
    skipsDAD = flags & UInt32(IFA_F_NODAD) != 0
    isTentative = flags & UInt32(IFA_F_TENTATIVE) != 0
    isDuplicate = flags & UInt32(IFA_F_DADFAILED) != 0
  }
}

extension IPAddress.Family {
  /// AF_INET or AF_INET6.
  public var number: UInt8 { UInt8(self == .v4 ? AF_INET : AF_INET6) }

  init?(number: UInt8) {
    switch Int32(number) {
    case AF_INET: self = .v4
    case AF_INET6: self = .v6
    default: return nil
    }
  }
}
