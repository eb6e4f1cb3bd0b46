import CNI
import CNetlink

/// An address of an interface.
public struct InterfaceAddress: Equatable {
  public let prefix: IPPrefix
  /// The interface's.
  public let index: Int32
  /// IPv6: usable at once, without duplicate address detection (IFA_F_NODAD).
  public let skipsDAD: Bool

  public init(prefix: IPPrefix, index: Int32, skipsDAD: Bool = false) {
    self.prefix = prefix
    self.index = index
    self.skipsDAD = skipsDAD
  }

  /// Reads the payload of RTM_NEWADDR; nil where it is cut off.
  init?(_ payload: ArraySlice<UInt8>) {
    guard let header = payload.structure(ifaddrmsg()) else { return nil }
    let attributes = Attributes(payload.dropFirst(MemoryLayout<ifaddrmsg>.size))
    guard
      let bytes = attributes[Int(IFA_LOCAL)] ?? attributes[Int(IFA_ADDRESS)],
      let address = IPAddress(bytes: bytes), Int(header.ifa_prefixlen) <= address.family.bits
    else { return nil }
    prefix = IPPrefix(address, length: Int(header.ifa_prefixlen))
    index = Int32(header.ifa_index)
    let flags = attributes[Int(IFA_FLAGS)]?.integer(as: UInt32.self) ?? 0
    skipsDAD = flags & UInt32(IFA_F_NODAD) != 0
  }
}

extension IPAddress.Family {
  /// AF_INET or AF_INET6.
  var constant: UInt8 { UInt8(self == .v4 ? AF_INET : AF_INET6) }

  init?(constant: UInt8) {
    switch Int32(constant) {
    case AF_INET: self = .v4
    case AF_INET6: self = .v6
    default: return nil
    }
  }
}

extension Request {
  /// Equivalent to: `ip address replace PREFIX dev LINK [nodad]`. Message: RTM_NEWADDR.
  public static func replaceAddress(_ address: InterfaceAddress) -> Request {
    self.address("add", address, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE)
  }

  /// Equivalent to: `ip address add PREFIX dev LINK [nodad]`. Message: RTM_NEWADDR.
  public static func addAddress(_ address: InterfaceAddress) -> Request {
    self.address("add", address, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL)
  }

  /// Equivalent to: `ip address delete PREFIX dev LINK`. Message: RTM_DELADDR.
  public static func deleteAddress(_ address: InterfaceAddress) -> Request {
    self.address("delete", address, RTM_DELADDR, 0)
  }

  private static func address<Type: BinaryInteger>(
    _ verb: String, _ address: InterfaceAddress, _ type: Type, _ flags: Int32
  ) -> Request {
    let prefix = address.prefix
    var header = ifaddrmsg()
    header.ifa_family = prefix.family.constant
    header.ifa_prefixlen = UInt8(prefix.length)
    header.ifa_index = UInt32(address.index)
    var request = Request(
      "\(verb) address \(prefix)", type: Int(type), flags: flags, header: header)
    request.put(Int(IFA_LOCAL), prefix.address.bytes)
    request.put(Int(IFA_ADDRESS), prefix.address.bytes)
    if prefix.family == .v4, prefix.length <= 30 {
      request.put(Int(IFA_BROADCAST), prefix.last.bytes)
    }
    if prefix.family == .v6, address.skipsDAD {
      request.put(Int(IFA_FLAGS), UInt32(IFA_F_NODAD))
    }
    return request
  }
}

extension Socket where Family == RouteFamily {
  /// The addresses of one interface or of all, of one family or both.
  /// Equivalent to: `ip address show [dev LINK]`. Message: RTM_GETADDR, dump.
  public borrowing func addresses(
    index: Int32? = nil, family: IPAddress.Family? = nil
  ) throws(NetlinkError) -> [InterfaceAddress] {
    var header = ifaddrmsg()
    header.ifa_family = family?.constant ?? UInt8(AF_UNSPEC)
    header.ifa_index = UInt32(index ?? 0)
    let request = Request("list addresses", type: Int(RTM_GETADDR), header: header)
    return try dump(request).compactMap { InterfaceAddress($0) }
      .filter { index == nil || $0.index == index }
  }
}
