// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded

/// A route in one of the kernel's tables.
public struct Route: Equatable, Sendable {
  /// The suite's own route protocol: `ip route show proto 72` lists the suite's routes.
  public static let humanz: UInt8 = 72
  /// RTPROT_KERNEL: added and removed by the kernel with a link's address.
  public static let kernel = UInt8(RTPROT_KERNEL)
  /// RTPROT_RA: learned from a router advertisement.
  public static let routerAdvertisement = UInt8(RTPROT_RA)
  /// RT_TABLE_MAIN.
  public static let mainTable: UInt32 = 254

  /// What happens to a packet (RTN_UNICAST and the like).
  public enum Kind: UInt8, Sendable {
    case unicast = 1
    case local = 2
    case broadcast = 3
    case anycast = 4
    case multicast = 5
    /// Dropped without an answer.
    case blackhole = 6
    /// Refused: no route to host.
    case unreachable = 7
    /// Refused: administratively prohibited.
    case prohibit = 8
    /// As if the table had no route: the lookup goes on in the next table.
    case `throw` = 9

    /// Whether packets are sent to a next hop or a device.
    var hasNextHops: Bool { rawValue < Kind.blackhole.rawValue }
  }

  /// A network: its host bits are zero.
  public var destination: IPPrefix
  /// What happens to the packets.
  public var kind: Kind
  /// One; several (multipath); none for a kind that drops packets.
  public var nextHops: [NextHop]
  /// The routing protocol that made it (RTPROT_BOOT and the like).
  public var proto: UInt8
  /// RT_SCOPE_LINK and the like; nil for the scope that `ip route` would choose. IPv6 has none.
  public var scope: UInt8?
  /// The number of its table; see `mainTable`.
  public var table: UInt32
  /// The metric; the lowest wins. nil for the kernel's default: 0, for IPv6 1024.
  public var priority: UInt32?
  /// In bytes; nil for the link's.
  public var mtu: UInt32?
  /// The largest TCP segment to announce, in bytes; nil for the kernel's default.
  public var advmss: UInt32?
  /// The preferred source address; nil for none.
  public var source: IPAddress?

  public init(
    destination: IPPrefix, kind: Kind = .unicast, nextHops: [NextHop] = [],
    proto: UInt8 = Route.humanz, scope: UInt8? = nil, table: UInt32 = Route.mainTable,
    priority: UInt32? = nil,
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

  /// Whether a route read from the kernel is the one that this value asks for.
  ///
  /// nil here matches any value in `scope`, `priority`, `mtu`, `advmss`, `source` and a next hop's `device`.
  /// It matches only nil in a next hop's `gateway` and `encapsulation`. The next hops must have the same
  /// order. The scope of an IPv6 route and the weight of a single next hop do not count.
  public func isInstalled(as other: Route) -> Bool {
    func agree<Value: Equatable>(_ asked: Value?, _ found: Value?) -> Bool {
      asked == nil || asked == found
    }
    return destination.network == other.destination && kind == other.kind && proto == other.proto
      && table == other.table && (destination.family == .v6 || agree(scope, other.scope))
      && agree(priority, other.priority) && agree(mtu, other.mtu) && agree(advmss, other.advmss)
      && agree(source, other.source) && nextHops.count == other.nextHops.count
      && zip(nextHops, other.nextHops).allSatisfy { asked, found in
        asked.gateway == found.gateway && agree(asked.device, found.device)
          && asked.encapsulation == found.encapsulation
          && asked.onLink == found.onLink
          && (nextHops.count == 1 || asked.weight == found.weight)
      }
  }
}

/// Where a route's packets go next.
public struct NextHop: Equatable, Sendable {
  /// nil: the destination is on the link. An IPv4 route may have an IPv6 gateway.
  public var gateway: IPAddress?
  /// nil for the link that reaches the gateway.
  public var device: LinkIndex?
  /// Whether the gateway counts as on-link although no route says so.
  public var onLink: Bool
  /// The share of this next hop among several: 1 to 256.
  public var weight: Int
  /// nil for packets that are sent as they are.
  public var encapsulation: Encapsulation?

  public init(
    gateway: IPAddress? = nil, device: LinkIndex? = nil, onLink: Bool = false, weight: Int = 1,
    encapsulation: Encapsulation? = nil
  ) {
    self.encapsulation = encapsulation
    self.gateway = gateway
    self.device = device
    self.onLink = onLink
    self.weight = weight
  }
}

extension Route: CustomStringConvertible {
  /// As `ip route` writes it, with numbers instead of links' names: all that `isInstalled` compares but the protocol.
  public var description: String {
    // By calls: `+=` for a `String` is inlined, a hundred bytes each time.
    var text = DefaultStringInterpolation(literalCapacity: 0, interpolationCount: 0)
    // Of these numbers 0 is the same as none.
    @inline(never) func add(_ word: String, _ number: UInt32) {
      guard number > 0 else { return }
      text.appendLiteral(word)
      text.appendInterpolation(Int(number))
    }
    @inline(never) func add(_ word: String, _ address: IPAddress?) {
      guard let address else { return }
      text.appendLiteral(word)
      text.appendLiteral(address.description)
    }
    if kind != .unicast {
      text.appendLiteral(kind.name)
      text.appendLiteral(" ")
    }
    text.appendLiteral(destination.length == 0 ? "default" : destination.description)
    for hop in nextHops {
      if let tunnel = hop.encapsulation {
        text.appendLiteral(tunnel.destination.family == .v4 ? " encap ip" : " encap ip6")
        add(" id ", tunnel.id)
        add(" src ", tunnel.source)
        add(" dst ", tunnel.destination)
        if tunnel.dontFragment { text.appendLiteral(" df") }
      }
      add(" via ", hop.gateway)
      add(" dev number ", UInt32(truncatingIfNeeded: hop.device?.rawValue ?? 0))
      if hop.onLink { text.appendLiteral(" onlink") }
      add(" weight ", nextHops.count > 1 ? UInt32(truncatingIfNeeded: hop.weight) : 0)
    }
    add(" table ", table == Route.mainTable ? 0 : table)
    if destination.family == .v4 {
      if scope == UInt8(RT_SCOPE_LINK.rawValue) {
        text.appendLiteral(" scope link")
      } else {
        add(" scope ", UInt32(scope ?? 0))
      }
    }
    add(" src ", source)
    add(" metric ", priority ?? 0)
    add(" mtu ", mtu ?? 0)
    add(" advmss ", advmss ?? 0)
    return String(stringInterpolation: text)
  }
}

extension Route.Kind {
  /// As `ip route` writes it.
  public var name: String {
    switch self {
    case .unicast: "unicast"
    case .local: "local"
    case .broadcast: "broadcast"
    case .anycast: "anycast"
    case .multicast: "multicast"
    case .blackhole: "blackhole"
    case .unreachable: "unreachable"
    case .prohibit: "prohibit"
    case .throw: "throw"
    }
  }
}
