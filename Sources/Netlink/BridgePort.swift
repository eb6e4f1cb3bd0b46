import CNetlink

/// What a link is as a port of a bridge; nil, in a change, leaves a thing as it is.
public struct BridgePort: Equatable {
  /// Whether a frame may leave by the port it came in by.
  public var hairpin: Bool?
  /// Whether the port may talk with ports only that are not isolated.
  public var isolated: Bool?
  /// Whether the bridge learns source addresses on it.
  public var learning: Bool?

  public init(hairpin: Bool? = nil, isolated: Bool? = nil, learning: Bool? = nil) {
    self.hairpin = hairpin
    self.isolated = isolated
    self.learning = learning
  }

  /// Reads IFLA_INFO_SLAVE_DATA of a bridge's port.
  init(_ attributes: Attributes) {
    hairpin = attributes[Int(IFLA_BRPORT_MODE)].map { $0.first == 1 }
    isolated = attributes[Int(IFLA_BRPORT_ISOLATED)].map { $0.first == 1 }
    learning = attributes[Int(IFLA_BRPORT_LEARNING)].map { $0.first == 1 }
  }
}

extension Request {
  /// Equivalent to: `ip link set LINK type bridge_slave hairpin on …`. Message: RTM_NEWLINK.
  public static func changeBridgePort(_ link: LinkReference, _ port: BridgePort) -> Request {
    var request = Request("change bridge port \(link)", type: Int(RTM_NEWLINK), header: link.header)
    link.put(into: &request)
    request.nest(Int(IFLA_LINKINFO)) { request in
      request.put(Int(IFLA_INFO_SLAVE_KIND), "bridge")
      request.nest(Int(IFLA_INFO_SLAVE_DATA)) { request in
        if let on = port.hairpin { request.put(Int(IFLA_BRPORT_MODE), UInt8(on ? 1 : 0)) }
        if let on = port.isolated { request.put(Int(IFLA_BRPORT_ISOLATED), UInt8(on ? 1 : 0)) }
        if let on = port.learning { request.put(Int(IFLA_BRPORT_LEARNING), UInt8(on ? 1 : 0)) }
      }
    }
    return request
  }
}
