// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded

/// VLANs of a bridge or one of its ports.
public struct BridgeVLAN: Equatable, Sendable {
  /// 1 to 4094.
  public var ids: ClosedRange<UInt16>
  /// Whether incoming frames without a tag belong to it; for a single VLAN.
  public var isPVID: Bool
  /// Whether outgoing frames lose their tag.
  public var isUntagged: Bool

  public init(_ ids: ClosedRange<UInt16>, isPVID: Bool = false, isUntagged: Bool = false) {
    self.ids = ids
    self.isPVID = isPVID
    self.isUntagged = isUntagged
  }
}

extension Request {
  /// Turns VLAN filtering of a bridge on or off.
  ///
  /// Equivalent to: `ip link set dev cni0 type bridge vlan_filtering 1`. Message: RTM_NEWLINK.
  /// The kernel answers EOPNOTSUPP if it was built without VLAN filtering.
  public static func filterVLANs(bridge: LinkReference, _ isOn: Bool = true) -> Request {
    var request = Request(
      "set VLAN filtering of bridge \(bridge)", RTM_NEWLINK, link: bridge, header: ifinfomsg())
    request.nest(IFLA_LINKINFO) { info in
      info.put(IFLA_INFO_KIND, "bridge")
      info.nest(IFLA_INFO_DATA) { $0.put(IFLA_BR_VLAN_FILTERING, UInt8(isOn ? 1 : 0)) }
    }
    return request
  }

  /// Makes the frames that a bridge forwards pass the node's iptables, ip6tables and nftables rules for packets,
  /// whatever the sysctls `net.bridge.bridge-nf-call-*` say.
  ///
  /// Equivalent to: `ip link set dev cni0 type bridge nf_call_iptables 1 nf_call_ip6tables 1`. Message:
  /// RTM_NEWLINK. A kernel without the module br_netfilter accepts it and does nothing.
  public static func callNetfilter(bridge: LinkReference) -> Request {
    var request = Request(
      "set nf_call_iptables of bridge \(bridge)", RTM_NEWLINK, link: bridge, header: ifinfomsg())
    request.nest(IFLA_LINKINFO) { info in
      info.put(IFLA_INFO_KIND, "bridge")
      info.nest(IFLA_INFO_DATA) { data in
        data.put(IFLA_BR_NF_CALL_IPTABLES, 1 as UInt8)
        data.put(IFLA_BR_NF_CALL_IP6TABLES, 1 as UInt8)
      }
    }
    return request
  }

  /// Adds VLANs to a bridge's port or, with `onBridge`, to the bridge itself.
  ///
  /// Equivalent to: `bridge vlan add dev veth0 vid 100 pvid untagged`. Message: RTM_SETLINK
  /// of AF_BRIDGE.
  public static func addBridgeVLAN(
    _ index: LinkIndex, _ vlan: BridgeVLAN, onBridge: Bool = false
  ) -> Request {
    bridgeVLAN("add", RTM_SETLINK, index, vlan, onBridge: onBridge)
  }

  /// Removes VLANs from a bridge's port or, with `onBridge`, from the bridge itself.
  ///
  /// Equivalent to: `bridge vlan del dev veth0 vid 10-20 self`. Message: RTM_DELLINK of AF_BRIDGE.
  public static func deleteBridgeVLAN(
    _ index: LinkIndex, _ vlan: BridgeVLAN, onBridge: Bool = false
  ) -> Request {
    bridgeVLAN("delete", RTM_DELLINK, index, vlan, onBridge: onBridge)
  }

  private static func bridgeVLAN(
    _ verb: String, _ type: Int, _ index: LinkIndex, _ vlan: BridgeVLAN, onBridge: Bool
  ) -> Request {
    let isRange = vlan.ids.count > 1
    let ids = isRange ? "\(vlan.ids.lowerBound)-\(vlan.ids.upperBound)" : "\(vlan.ids.lowerBound)"
    var header = ifinfomsg()
    header.ifi_family = UInt8(AF_BRIDGE)
    header.ifi_index = index.rawValue
    var request = Request("\(verb) VLAN \(ids) of link number \(index)", type, header: header)

    func entry(_ id: UInt16, _ bounds: Int32) -> bridge_vlan_info {
      var flags = bounds
      if vlan.isPVID { flags |= BRIDGE_VLAN_INFO_PVID }
      if vlan.isUntagged { flags |= BRIDGE_VLAN_INFO_UNTAGGED }
      return bridge_vlan_info(flags: UInt16(flags), vid: id)
    }
    request.nest(IFLA_AF_SPEC) { specification in
      if onBridge { specification.put(IFLA_BRIDGE_FLAGS, UInt16(BRIDGE_FLAGS_SELF)) }
      let (first, last) = (vlan.ids.lowerBound, vlan.ids.upperBound)
      let begin = entry(first, isRange ? BRIDGE_VLAN_INFO_RANGE_BEGIN : 0)
      specification.put(IFLA_BRIDGE_VLAN_INFO, value: begin)
      if isRange {
        let end = entry(last, BRIDGE_VLAN_INFO_RANGE_END)
        specification.put(IFLA_BRIDGE_VLAN_INFO, value: end)
      }
    }
    return request
  }
}

extension Socket where Family == RouteFamily {
  /// The VLANs of a bridge or one of its ports, in ranges as the kernel reports them.
  ///
  /// Equivalent to: `bridge -compressvlans vlan show dev veth0`. Message: RTM_GETLINK of AF_BRIDGE
  /// with NLM_F_DUMP.
  @inline(never)
  public borrowing func bridgeVLANs(index: LinkIndex) throws(NetlinkError) -> [BridgeVLAN] {
    let lists = try dump(.getBridgeVLANs()) { message -> [BridgeVLAN]? in
      guard RTM_NEWLINK ~= message.type, let header = message.header(ifinfomsg.self),
        LinkIndex(header.ifi_index) == index
      else { return nil }
      return BridgeVLAN.list(message)
    }
    return lists.flatMap { $0 }
  }
}

extension Request {
  static func getBridgeVLANs() -> Request {
    var header = ifinfomsg()
    header.ifi_family = UInt8(AF_BRIDGE)
    var request = Request("list VLANs of bridges", RTM_GETLINK, header: header)
    request.put(IFLA_EXT_MASK, UInt32(RTEXT_FILTER_BRVLAN_COMPRESSED))
    return request
  }
}

extension BridgeVLAN {
  /// Reads the IFLA_AF_SPEC of a link in the AF_BRIDGE view.
  static func list(_ message: Message) -> [BridgeVLAN] {
    guard let attributes = message.attributes(after: ifinfomsg.self).first(IFLA_AF_SPEC)?.nested
    else { return [] }
    var list: [BridgeVLAN] = []
    var begin: UInt16?
    for attribute in attributes where attribute.type == UInt16(IFLA_BRIDGE_VLAN_INFO) {
      guard let entry = attribute.value(bridge_vlan_info.self) else { continue }
      let flags = Int32(entry.flags)
      if flags & BRIDGE_VLAN_INFO_RANGE_BEGIN != 0 {
        begin = entry.vid
        continue
      }
      let first = flags & BRIDGE_VLAN_INFO_RANGE_END != 0 ? begin ?? entry.vid : entry.vid
      begin = nil
      guard first <= entry.vid else { continue }
      list.append(
        BridgeVLAN(
          first...entry.vid, isPVID: flags & BRIDGE_VLAN_INFO_PVID != 0,
          isUntagged: flags & BRIDGE_VLAN_INFO_UNTAGGED != 0))
    }
    return list
  }
}
