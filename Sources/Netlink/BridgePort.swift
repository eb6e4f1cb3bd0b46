// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded

/// The settings of a bridge's port. nil: left unchanged in a request, unknown in an answer.
public struct BridgePort: Equatable, Sendable {
  /// Whether a frame may leave through the port by which it came in.
  public var hairpin: Bool?
  /// Whether the port exchanges frames only with ports that are not isolated, and with the bridge itself.
  public var isolated: Bool?
  /// Whether the bridge learns addresses from the port's frames.
  public var learning: Bool?

  public init(hairpin: Bool? = nil, isolated: Bool? = nil, learning: Bool? = nil) {
    self.hairpin = hairpin
    self.isolated = isolated
    self.learning = learning
  }

  /// Reads the IFLA_INFO_SLAVE_DATA of a bridge's port.
  init(_ attributes: Attributes) {
    for attribute in attributes {
      let isOn = attribute.uint8.map { $0 != 0 }
      switch attribute.type {
      case IFLA_BRPORT_MODE: hairpin = isOn
      case IFLA_BRPORT_ISOLATED: isolated = isOn
      case IFLA_BRPORT_LEARNING: learning = isOn
      default: break
      }
    }
  }
}

extension Request {
  /// Changes the settings of a bridge's port. The link must be a port already.
  ///
  /// Equivalent to: `ip link set dev veth0 type bridge_slave hairpin on isolated on learning off`.
  /// Message: RTM_NEWLINK.
  public static func changeBridgePort(_ link: LinkReference, _ port: BridgePort) -> Request {
    var request = Request(
      "change bridge port \(link)", RTM_NEWLINK, link: link, header: ifinfomsg())
    request.nest(IFLA_LINKINFO) { info in
      info.put(IFLA_INFO_SLAVE_KIND, "bridge")
      info.nest(IFLA_INFO_SLAVE_DATA) { data in
        if let hairpin = port.hairpin { data.put(IFLA_BRPORT_MODE, UInt8(hairpin ? 1 : 0)) }
        if let isolated = port.isolated { data.put(IFLA_BRPORT_ISOLATED, UInt8(isolated ? 1 : 0)) }
        if let learning = port.learning { data.put(IFLA_BRPORT_LEARNING, UInt8(learning ? 1 : 0)) }
      }
    }
    return request
  }
}
