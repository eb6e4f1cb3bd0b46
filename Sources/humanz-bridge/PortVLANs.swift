// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded
import Netlink

/// The VLANs of an attachment's port: `vlan`, `vlanTrunk` and `preserveDefaultVlan`.
struct PortVLANs: Equatable {
  /// The VLAN of the pod's untagged frames.
  let access: UInt16?
  /// The VLANs that the pod sends and receives with their tags: sorted, not overlapping and not adjacent.
  let trunk: [ClosedRange<UInt16>]
  /// Whether the port also stays in VLAN 1, into which a bridge puts every port.
  let preservesDefault: Bool

  /// nil if the keys ask for no VLAN.
  init?(_ keys: Keys) throws(CNIError) {
    access = try keys.int("vlan", in: 0...4094).flatMap { $0 == 0 ? nil : UInt16($0) }
    let entries =
      try keys.list("vlanTrunk")?.map { (entry) throws(CNIError) in try PortVLANs.ranges(entry) }
      ?? []
    trunk = PortVLANs.joined(entries.flatMap { $0 })
    preservesDefault = try keys.bool("preserveDefaultVlan") ?? false
    if access == nil && trunk.isEmpty { return nil }
  }

  /// An entry of `vlanTrunk`: a range, a single VLAN, or both.
  private static func ranges(_ entry: Keys) throws(CNIError) -> [ClosedRange<UInt16>] {
    let single = try entry.int("id", in: 1...4094).map { UInt16($0) }
    let first = try entry.int("minID", in: 1...4094).map { UInt16($0) }
    let last = try entry.int("maxID", in: 1...4094).map { UInt16($0) }
    var ranges: [ClosedRange<UInt16>] = []
    switch (first, last) {
    case (let first?, let last?):
      guard first <= last else {
        throw entry.invalid("minID", "is \(first), more than \"maxID\", which is \(last)")
      }
      ranges.append(first...last)
    case (nil, .some): throw entry.invalid("minID", "is missing beside \"maxID\"")
    case (.some, nil): throw entry.invalid("maxID", "is missing beside \"minID\"")
    case (nil, nil): break
    }
    if let single { ranges.append(single...single) }
    if ranges.isEmpty { throw entry.invalid("id", "is required, or \"minID\" and \"maxID\"") }
    return ranges
  }

  /// The ranges, sorted; overlapping and adjacent ones are joined.
  private static func joined(_ ranges: [ClosedRange<UInt16>]) -> [ClosedRange<UInt16>] {
    var joined: [ClosedRange<UInt16>] = []
    for id in UInt16(1)...4094 where ranges.contains(where: { $0.contains(id) }) {
      if let last = joined.last, last.upperBound + 1 == id {
        joined[joined.count - 1] = last.lowerBound...id
      } else {
        joined.append(id...id)
      }
    }
    return joined
  }

  /// The requests for a new port, which the bridge has put into VLAN 1.
  func requests(port: LinkIndex) -> [Request] {
    var requests: [Request] = []
    if !preservesDefault {
      requests.append(.deleteBridgeVLAN(port, BridgeVLAN(1...1)))
    }
    requests += trunk.map { .addBridgeVLAN(port, BridgeVLAN($0)) }
    // Last: a trunk that contains the same VLAN would make it tagged.
    if let access {
      requests.append(
        .addBridgeVLAN(port, BridgeVLAN(access...access, isPVID: true, isUntagged: true)))
    }
    return requests
  }

  /// The access VLAN if it is missing or has other flags, else the first missing VLAN of the trunk; nil for
  /// none.
  func missing(in present: [BridgeVLAN]) -> UInt16? {
    if let access,
      !present.contains(where: { $0.ids.contains(access) && $0.isPVID && $0.isUntagged })
    {
      return access
    }
    return trunk.lazy.flatMap { $0 }.first { id in
      !present.contains { $0.ids.contains(id) }
    }
  }
}
