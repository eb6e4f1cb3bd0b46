// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import System

extension Socket where Family == RouteFamily {
  /// The routes of a table, or of all tables (nil). A missing table has no routes.
  ///
  /// Equivalent to: `ip route show table main proto 72`. Message: RTM_GETROUTE with NLM_F_DUMP. The
  /// kernel filters the routes; what an older kernel does not filter is filtered here. (A kernel without IPv6
  /// answers a request for IPv6 routes with those of all families.)
  @inline(never)
  public borrowing func routes(
    _ family: IPAddress.Family, proto: UInt8? = nil, table: UInt32? = Route.mainTable
  ) throws(NetlinkError) -> [Route] {
    do throws(NetlinkError) {
      return try dump(.getRoutes(family, proto: proto, table: table)) { message in
        guard let route = Route(message), route.destination.family == family,
          proto == nil || route.proto == proto, table == nil || route.table == table
        else { return nil }
        return route
      }
    } catch {
      if error.errno == .noSuchFileOrDirectory { return [] }
      throw error
    }
  }

  /// The route that the kernel would choose for a packet to an address; nil if it has none. Its
  /// destination is the address alone.
  ///
  /// Equivalent to: `ip route get ADDRESS`. Message: RTM_GETROUTE.
  @inline(never)
  public borrowing func route(to address: IPAddress) throws(NetlinkError) -> Route? {
    do throws(NetlinkError) {
      let route = try get(.getRoute(to: address), Route.init)
      return route.flatMap { $0.kind.hasNextHops ? $0 : nil }
    } catch {
      switch error.errno.rawValue {
      // No route, or a route of kind unreachable, prohibit or blackhole.
      case ENETUNREACH, EHOSTUNREACH, EACCES: return nil
      case EINVAL where error.text == nil: return nil
      default: throw error
      }
    }
  }
}

extension Request {
  static func getRoutes(_ family: IPAddress.Family, proto: UInt8?, table: UInt32?) -> Request {
    var header = rtmsg()
    header.rtm_family = family.number
    header.rtm_protocol = proto ?? 0
    var request = Request("list routes", RTM_GETROUTE, header: header)
    if let table { request.put(RTA_TABLE, table) }
    return request
  }

  static func getRoute(to address: IPAddress) -> Request {
    var header = rtmsg()
    header.rtm_family = address.family.number
    header.rtm_dst_len = UInt8(address.family.bits)
    // IPv6 always reports the table, and refuses the flag.
    if address.family == .v4 { header.rtm_flags = UInt32(RTM_F_LOOKUP_TABLE) }
    var request = Request("look up the route to \(address)", RTM_GETROUTE, header: header)
    request.put(RTA_DST, address.bytes)
    return request
  }
}

extension Route {
  /// Reads RTM_NEWROUTE; nil for anything else.
  init?(_ message: Message) {
    guard RTM_NEWROUTE ~= message.type, let header = message.header(rtmsg.self),
      let family = IPAddress.Family(number: header.rtm_family),
      let kind = Kind(rawValue: header.rtm_type), Int(header.rtm_dst_len) <= family.bits
    else { return nil }
    let zero = IPAddress(family, 0)
    self.init(
      destination: IPPrefix(zero, length: Int(header.rtm_dst_len)), kind: kind,
      proto: header.rtm_protocol,
      scope: header.rtm_scope, table: UInt32(header.rtm_table))
    var hop = NextHop(onLink: header.rtm_flags & UInt32(RTNH_F_ONLINK) != 0)
    for attribute in message.attributes(after: rtmsg.self) {
      switch attribute.type {
      case RTA_DST:
        guard let address = IPAddress(bytes: attribute.payload), address.family == family else {
          return nil
        }
        destination = IPPrefix(address, length: destination.length)
      case RTA_TABLE: table = attribute.uint32 ?? table
      case RTA_PRIORITY: priority = attribute.uint32
      case RTA_PREFSRC: source = IPAddress(bytes: attribute.payload)
      case RTA_METRICS:
        mtu = attribute.nested.first(RTAX_MTU)?.uint32
        advmss = attribute.nested.first(RTAX_ADVMSS)?.uint32
      case RTA_MULTIPATH: nextHops = NextHop.list(attribute.payload)
      default: hop.read(attribute)
      }
    }
    // IPv6 reports the loopback as the device of a route that drops packets.
    guard kind.hasNextHops else { return }
    if nextHops.isEmpty { nextHops = [hop] }
  }
}

extension NextHop {
  /// Reads RTA_MULTIPATH: structures of rtnexthop, each with attributes behind it.
  fileprivate static func list(_ bytes: UnsafeRawBufferPointer) -> [NextHop] {
    let headerSize = MemoryLayout<rtnexthop>.size
    var hops: [NextHop] = []
    var rest = bytes
    while rest.count >= headerSize {
      let header = rest.loadUnaligned(as: rtnexthop.self)
      let length = Int(header.rtnh_len)
      guard (headerSize...rest.count).contains(length) else { break }
      var hop = NextHop(
        device: LinkIndex(header.rtnh_ifindex),
        onLink: Int32(header.rtnh_flags) & RTNH_F_ONLINK != 0,
        weight: Int(header.rtnh_hops) + 1)
      for attribute in Attributes(
        UnsafeRawBufferPointer(rebasing: rest[..<length]), from: headerSize)
      { hop.read(attribute) }
      hops.append(hop)
      rest = UnsafeRawBufferPointer(rebasing: rest[min(aligned(length), rest.count)...])
    }
    return hops
  }

  fileprivate mutating func read(_ attribute: Attribute) {
    switch attribute.type {
    case RTA_OIF: device = attribute.linkIndex
    case RTA_GATEWAY: gateway = IPAddress(bytes: attribute.payload)
    case RTA_VIA: gateway = IPAddress(bytes: attribute.payload.dropFirst(2))
    case RTA_ENCAP: encapsulation = Encapsulation(attribute.nested)
    default: break
    }
  }
}
