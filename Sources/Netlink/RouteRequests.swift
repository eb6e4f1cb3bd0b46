// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded

extension Request {
  /// Makes a route, or replaces the one to the same destination with the same metric, in one step.
  ///
  /// Equivalent to: `ip route replace 10.2.0.0/24 via 192.0.2.2 proto 72`. Message: RTM_NEWROUTE.
  public static func replaceRoute(_ route: Route) -> Request {
    newRoute("set", NLM_F_CREATE | NLM_F_REPLACE, route)
  }

  /// Makes a route. The kernel refuses it if one to the same destination with the same metric exists.
  ///
  /// Equivalent to: `ip route add 10.2.0.0/24 via 192.0.2.2 proto 72`. Message: RTM_NEWROUTE.
  public static func addRoute(_ route: Route) -> Request {
    newRoute("add", NLM_F_CREATE | NLM_F_EXCL, route)
  }

  /// Removes a route. Kind, protocol, table and next hops must match, and so must metric
  /// and scope if they are given.
  ///
  /// Equivalent to: `ip route delete 10.2.0.0/24 via 192.0.2.2 proto 72`. Message: RTM_DELROUTE.
  public static func deleteRoute(_ route: Route) -> Request {
    let scope = route.scope ?? UInt8(RT_SCOPE_NOWHERE.rawValue)
    var request = Request("delete", RTM_DELROUTE, flags: 0, route, scope: scope)
    request.putNextHops(of: route)
    return request
  }

  private static func newRoute(_ verb: String, _ flags: Int32, _ route: Route) -> Request {
    var request = Request(
      verb, RTM_NEWROUTE, flags: flags, route, scope: route.scope ?? route.defaultScope)
    if let source = route.source { request.put(RTA_PREFSRC, source.bytes) }
    if route.mtu != nil || route.advmss != nil {
      request.nest(RTA_METRICS) { metrics in
        if let mtu = route.mtu { metrics.put(RTAX_MTU, mtu) }
        if let advmss = route.advmss { metrics.put(RTAX_ADVMSS, advmss) }
      }
    }
    request.putNextHops(of: route)
    return request
  }

  /// Begins a message about a route, with everything but its next hops and metrics.
  private init(_ verb: String, _ type: Int, flags: Int32, _ route: Route, scope: UInt8) {
    let destination = route.destination.network
    var header = rtmsg()
    header.rtm_family = destination.family.number
    header.rtm_dst_len = UInt8(destination.length)
    // The header has 8 bits for the table's number; larger ones go into RTA_TABLE.
    header.rtm_table = UInt8(exactly: route.table) ?? UInt8(RT_TABLE_UNSPEC.rawValue)
    header.rtm_protocol = route.proto
    header.rtm_scope = destination.family == .v4 ? scope : UInt8(RT_SCOPE_UNIVERSE.rawValue)
    header.rtm_type = route.kind.rawValue
    if route.nextHops.count == 1, route.nextHops[0].onLink {
      header.rtm_flags = UInt32(RTNH_F_ONLINK)
    }
    self.init("\(verb) route \(route)", type, flags: flags, header: header)
    if destination.length > 0 { put(RTA_DST, destination.address.bytes) }
    if header.rtm_table == UInt8(RT_TABLE_UNSPEC.rawValue) { put(RTA_TABLE, route.table) }
    if let priority = route.priority { put(RTA_PRIORITY, priority) }
  }

  private mutating func putNextHops(of route: Route) {
    let family = route.destination.family
    if route.nextHops.count == 1 {
      put(nextHop: route.nextHops[0], family)
      if let device = route.nextHops[0].device { put(RTA_OIF, device) }
    } else if route.nextHops.count > 1 {
      nest(RTA_MULTIPATH) { hops in
        for hop in route.nextHops {
          let header = rtnexthop(
            rtnh_len: 0, rtnh_flags: hop.onLink ? UInt8(RTNH_F_ONLINK) : 0,
            rtnh_hops: UInt8(clamping: hop.weight - 1), rtnh_ifindex: hop.device?.rawValue ?? 0)
          hops.put(lengthPrefixed: header) { $0.put(nextHop: hop, family) }
        }
      }
    }
  }

  private mutating func put(nextHop hop: NextHop, _ family: IPAddress.Family) {
    if let encapsulation = hop.encapsulation { put(encapsulation) }
    guard let gateway = hop.gateway else { return }
    if gateway.family == family {
      put(RTA_GATEWAY, gateway.bytes)
    } else {
      // struct rtvia: the family in the host's byte order, then the address.
      let number = UInt16(gateway.family.number)
      put(RTA_VIA, withUnsafeBytes(of: number) { Array($0) } + gateway.bytes)
    }
  }
}

extension Route {
  /// The scope that `ip route` chooses: the link's for a destination without a gateway.
  fileprivate var defaultScope: UInt8 {
    switch kind {
    case .local: UInt8(RT_SCOPE_HOST.rawValue)
    case .broadcast, .multicast, .anycast: UInt8(RT_SCOPE_LINK.rawValue)
    case .unicast where nextHops.allSatisfy { $0.gateway == nil }:
      UInt8(RT_SCOPE_LINK.rawValue)
    default: UInt8(RT_SCOPE_UNIVERSE.rawValue)
    }
  }
}
