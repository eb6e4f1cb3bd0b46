import CNI
import CNetlink

/// A route of the kernel's tables.
public struct Route: Equatable {
  /// What happens to a packet that takes the route.
  public enum Kind: UInt8 {
    case unspecified = 0
    case unicast = 1
    case local = 2
    case broadcast = 3
    case anycast = 4
    case multicast = 5
    case blackhole = 6
    case unreachable = 7
    case prohibit = 8
    case other = 255
  }

  /// The route protocol number of every route the suite makes on a node: `ip route show proto 72`.
  public static var humanz: UInt8 { 72 }
  /// RTPROT_BOOT: what `ip route` makes by hand.
  public static var boot: UInt8 { UInt8(RTPROT_BOOT) }
  /// RTPROT_RA: learned from a router advertisement.
  public static var routerAdvertisement: UInt8 { UInt8(RTPROT_RA) }
  /// RT_TABLE_MAIN.
  public static var mainTable: UInt32 { 254 }

  public let destination: IPPrefix
  public let kind: Kind
  /// Several make a multipath route.
  public let nextHops: [NextHop]
  /// A RTPROT_ number: who made it.
  public let proto: UInt8
  /// An `rt_scope_t`; nil: link without a gateway, universe with one.
  public let scope: UInt8?
  public let table: UInt32
  /// The metric; nil: the kernel's default.
  public let priority: UInt32?
  /// RTAX_MTU in bytes.
  public let mtu: UInt32?
  /// RTAX_ADVMSS in bytes.
  public let advmss: UInt32?
  /// The preferred source address.
  public let source: IPAddress?

  public init(
    destination: IPPrefix, kind: Kind = .unicast, nextHops: [NextHop], proto: UInt8 = Route.humanz,
    scope: UInt8? = nil, table: UInt32 = Route.mainTable, priority: UInt32? = nil,
    mtu: UInt32? = nil, advmss: UInt32? = nil, source: IPAddress? = nil
  ) {
    self.destination = destination
    self.kind = kind
    self.nextHops = nextHops
    self.proto = proto
    self.scope = scope
    self.table = table
    self.priority = priority
    self.mtu = mtu
    self.advmss = advmss
    self.source = source
  }
}

/// Where a route leads.
public struct NextHop: Equatable {
  public let gateway: IPAddress?
  /// The index of the link it leaves by; nil: the one the gateway is on.
  public let device: Int32?

  public init(gateway: IPAddress?, device: Int32?) {
    self.gateway = gateway
    self.device = device
  }
}

extension Route: CustomStringConvertible {
  /// The route much as `ip route` writes it.
  public var description: String {
    var text = kind == .unicast ? "\(destination)" : "\(kind.name) \(destination)"
    for hop in nextHops {
      if let gateway = hop.gateway { text += " via \(gateway)" }
      if let device = hop.device { text += " dev #\(device)" }
    }
    return text + " proto \(proto)"
  }
}

extension Route.Kind {
  /// The name that `ip route` uses.
  public var name: String {
    switch self {
    case .unspecified: "unspec"
    case .unicast: "unicast"
    case .local: "local"
    case .broadcast: "broadcast"
    case .anycast: "anycast"
    case .multicast: "multicast"
    case .blackhole: "blackhole"
    case .unreachable: "unreachable"
    case .prohibit: "prohibit"
    case .other: "other"
    }
  }
}

// MARK: - Requests

extension Request {
  /// Equivalent to: `ip route replace DESTINATION …`. Message: RTM_NEWROUTE.
  public static func replaceRoute(_ route: Route) -> Request {
    self.route("replace", route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE)
  }

  /// Equivalent to: `ip route add DESTINATION …`. Message: RTM_NEWROUTE.
  public static func addRoute(_ route: Route) -> Request {
    self.route("add", route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL)
  }

  /// Equivalent to: `ip route delete DESTINATION …`. Message: RTM_DELROUTE.
  public static func deleteRoute(_ route: Route) -> Request {
    self.route("delete", route, RTM_DELROUTE, 0)
  }

  private static func route<Type: BinaryInteger>(
    _ verb: String, _ route: Route, _ type: Type, _ flags: Int32
  ) -> Request {
    var header = rtmsg()
    header.rtm_family = route.destination.family.constant
    header.rtm_dst_len = UInt8(route.destination.length)
    header.rtm_table = UInt8(route.table < 256 ? route.table : 0)
    header.rtm_protocol = route.proto
    header.rtm_type = route.kind.rawValue
    header.rtm_scope = route.scope ?? route.defaultScope
    var request = Request(
      "\(verb) route to \(route.destination)", type: Int(type), flags: flags, header: header)
    if route.destination.length > 0 {
      request.put(Int(RTA_DST.rawValue), route.destination.first.bytes)
    }
    request.put(Int(RTA_TABLE.rawValue), route.table)
    if let priority = route.priority { request.put(Int(RTA_PRIORITY.rawValue), priority) }
    if let source = route.source { request.put(Int(RTA_PREFSRC.rawValue), source.bytes) }
    if route.mtu != nil || route.advmss != nil {
      request.nest(Int(RTA_METRICS.rawValue)) { request in
        if let mtu = route.mtu { request.put(Int(RTAX_MTU), mtu) }
        if let advmss = route.advmss { request.put(Int(RTAX_ADVMSS), advmss) }
      }
    }
    switch route.nextHops.count {
    case 0: break
    case 1:
      let hop = route.nextHops[0]
      if let gateway = hop.gateway { request.put(Int(RTA_GATEWAY.rawValue), gateway.bytes) }
      if let device = hop.device { request.put(Int(RTA_OIF.rawValue), device) }
    default:
      request.put(Int(RTA_MULTIPATH.rawValue), route.nextHops.flatMap { $0.multipathEntry })
    }
    return request
  }
}

extension Route {
  /// As `ip route` chooses it: an IPv4 destination without a gateway is on the link.
  fileprivate var defaultScope: UInt8 {
    let onLink = kind == .unicast && nextHops.allSatisfy { $0.gateway == nil }
    return UInt8(
      onLink && destination.family == .v4 ? RT_SCOPE_LINK.rawValue : RT_SCOPE_UNIVERSE.rawValue)
  }
}

extension NextHop {
  /// One `rtnexthop` of RTA_MULTIPATH, with its gateway behind it.
  fileprivate var multipathEntry: [UInt8] {
    let gateway = gateway?.bytes ?? []
    let length = MemoryLayout<rtnexthop>.size + (gateway.isEmpty ? 0 : 4 + gateway.count)
    var header = rtnexthop()
    header.rtnh_len = UInt16(length)
    header.rtnh_ifindex = device ?? 0
    var bytes = withUnsafeBytes(of: header) { Array($0) }
    if !gateway.isEmpty {
      let attribute = [UInt16(4 + gateway.count), UInt16(RTA_GATEWAY.rawValue)]
      bytes += attribute.withUnsafeBytes { Array($0) } + gateway
    }
    return bytes
  }
}

// MARK: - Reading

extension Route {
  /// Reads the payload of RTM_NEWROUTE; nil where it is cut off or of a family that is not IP.
  init?(_ payload: ArraySlice<UInt8>) {
    guard let header = payload.structure(rtmsg()),
      let family = IPAddress.Family(constant: header.rtm_family),
      Int(header.rtm_dst_len) <= family.bits
    else { return nil }
    let attributes = Attributes(payload.dropFirst(MemoryLayout<rtmsg>.size))
    let metrics = attributes[Int(RTA_METRICS.rawValue)].map { Attributes($0) }
    destination = IPPrefix(
      attributes[Int(RTA_DST.rawValue)].flatMap { IPAddress(bytes: $0) } ?? IPAddress(family, 0),
      length: Int(header.rtm_dst_len))
    kind = Kind(rawValue: header.rtm_type) ?? .other
    proto = header.rtm_protocol
    scope = header.rtm_scope
    table = attributes[Int(RTA_TABLE.rawValue)]?.integer() ?? UInt32(header.rtm_table)
    priority = attributes[Int(RTA_PRIORITY.rawValue)]?.integer()
    mtu = metrics?[Int(RTAX_MTU)]?.integer()
    advmss = metrics?[Int(RTAX_ADVMSS)]?.integer()
    source = attributes[Int(RTA_PREFSRC.rawValue)].flatMap { IPAddress(bytes: $0) }
    if let hops = attributes[Int(RTA_MULTIPATH.rawValue)] {
      nextHops = NextHop.list(hops)
    } else {
      let hop = NextHop(
        gateway: attributes[Int(RTA_GATEWAY.rawValue)].flatMap { IPAddress(bytes: $0) },
        device: attributes[Int(RTA_OIF.rawValue)]?.integer())
      nextHops = hop == NextHop(gateway: nil, device: nil) ? [] : [hop]
    }
  }
}

extension NextHop {
  /// Reads the payload of RTA_MULTIPATH.
  fileprivate static func list(_ bytes: ArraySlice<UInt8>) -> [NextHop] {
    var hops: [NextHop] = []
    var rest = bytes
    while let header = rest.structure(rtnexthop()) {
      let length = Int(header.rtnh_len)
      guard length >= MemoryLayout<rtnexthop>.size, length <= rest.count else { break }
      let attributes = Attributes(rest.prefix(length).dropFirst(MemoryLayout<rtnexthop>.size))
      hops.append(
        NextHop(
          gateway: attributes[Int(RTA_GATEWAY.rawValue)].flatMap { IPAddress(bytes: $0) },
          device: header.rtnh_ifindex))
      rest = rest.dropFirst((length + 3) & ~3)
    }
    return hops
  }
}

extension Socket where Family == RouteFamily {
  /// The routes of a family, of one protocol number or all, of one table.
  /// Equivalent to: `ip [-6] route show [table TABLE] [proto PROTO]`. Message: RTM_GETROUTE, dump.
  public borrowing func routes(
    _ family: IPAddress.Family, proto: UInt8? = nil, table: UInt32 = Route.mainTable
  ) throws(NetlinkError) -> [Route] {
    var header = rtmsg()
    header.rtm_family = family.constant
    header.rtm_protocol = proto ?? 0
    var request = Request("list routes", type: Int(RTM_GETROUTE), header: header)
    request.put(Int(RTA_TABLE.rawValue), table)
    let answers: [ArraySlice<UInt8>]
    do throws(NetlinkError) { answers = try dump(request) } catch {
      // The kernel's word for a table that has never had a route.
      if error.errno == ENOENT { return [] }
      throw error
    }
    return answers.compactMap { Route($0) }
      .filter { (proto == nil || $0.proto == proto) && $0.table == table }
  }

  /// The route the kernel takes to an address; nil where it has none.
  /// Equivalent to: `ip route get ADDRESS`. Message: RTM_GETROUTE.
  public borrowing func route(to address: IPAddress) throws(NetlinkError) -> Route? {
    var header = rtmsg()
    header.rtm_family = address.family.constant
    header.rtm_dst_len = UInt8(address.family.bits)
    var request = Request(
      "look up the route to \(address)", type: Int(RTM_GETROUTE), header: header)
    request.put(Int(RTA_DST.rawValue), address.bytes)
    do throws(NetlinkError) { return Route(try get(request)) } catch {
      if [ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL, EAFNOSUPPORT].contains(error.errno) {
        return nil
      }
      throw error
    }
  }
}
