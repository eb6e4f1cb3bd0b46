// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded

/// The range sets of a network: an attachment gets one address of each.
public struct Pools {
  /// The range sets. A set's index is the number of its file `last_reserved_ip.N`.
  public let sets: [RangeSet]
  private let excluded: [IPPrefix]

  /// Reads `subnet` with its keys, `ranges` and `exclude`. The sets are in host-local's order:
  /// `runtimeConfig.ipRanges`, `subnet`, `ranges`; after them the subnets of the cluster file.
  /// Costs n log n for n ranges.
  /// - Parameters:
  ///   - runtimeConfig: has `ipRanges`, if the runtime asks for ranges.
  ///   - clusterFile: the subnets of the node, and the file they come from.
  /// - Throws: error 7 naming the key.
  public init(
    _ keys: Keys, runtimeConfig: Keys? = nil,
    clusterFile: (path: String, subnets: [IPPrefix])? = nil
  ) throws(CNIError) {
    excluded = try Pools.excluded(keys)
    var lists =
      try runtimeConfig.map { (keys) throws(CNIError) in
        try Pools.lists("ipRanges", keys)
      } ?? []
    if keys.has("subnet") {
      lists.append(RangeList(key: keys.path(of: "subnet"), ranges: [try AddressRange(keys)]))
    }
    lists += try Pools.lists("ranges", keys)
    for (index, subnet) in (clusterFile?.subnets ?? []).enumerated() {
      let range = Keys(
        JSONObject(("subnet", .string(subnet.description))),
        path: "\(clusterFile!.path) subnets[\(index)]")
      lists.append(RangeList(key: range.path, ranges: [try AddressRange(range)]))
    }
    try refuseOverlaps(among: lists)
    sets = try Pools.sets(lists, excluding: excluded)
  }

  private static func excluded(_ keys: Keys) throws(CNIError) -> [IPPrefix] {
    try keys.elements("exclude") { (value: JSON, path: String) throws(CNIError) in
      let text = value.string ?? ""
      guard let prefix = IPPrefix(text) ?? IPAddress(text).map({ IPPrefix(host: $0) }) else {
        throw CNIError(
          .invalidConfiguration, "key \"\(path)\": expected an IP address or a prefix")
      }
      return prefix.network
    } ?? []
  }

  /// The range sets of `ranges` or `ipRanges`.
  private static func lists(_ key: String, _ keys: Keys) throws(CNIError) -> [RangeList] {
    try keys.elements(key) { (value: JSON, path: String) throws(CNIError) in
      guard let list = value.array, !list.isEmpty else {
        throw CNIError(
          .invalidConfiguration, "key \"\(path)\" must be an array of at least one range")
      }
      var ranges: [AddressRange] = []
      for (index, range) in list.enumerated() {
        guard let object = range.object else {
          throw CNIError(
            .invalidConfiguration,
            "key \"\(path)[\(index)]\" must be an object, not \(range.kind)")
        }
        ranges.append(try AddressRange(Keys(object, path: "\(path)[\(index)]")))
      }
      guard ranges.allSatisfy({ $0.subnet.family == ranges[0].subnet.family }) else {
        throw CNIError(
          .invalidConfiguration,
          "key \"\(path)\" has IPv4 and IPv6 in one set: an attachment gets one address of each set"
        )
      }
      return RangeList(key: path, ranges: ranges)
    } ?? []
  }

  /// The sets without the excluded addresses, and without the gateways of all of them.
  private static func sets(
    _ lists: [RangeList], excluding excluded: [IPPrefix]
  ) throws(CNIError) -> [RangeSet] {
    let gateways = lists.flatMap { $0.ranges.compactMap { $0.gateway } }
    let withheld = excluded + gateways.map { IPPrefix(host: $0) }
    let spans = [IPAddress.Family.v4, .v6].map { family in
      AddressSpans(
        merging: withheld.filter { $0.family == family }.map {
          AddressSpan(lower: $0.first.value, upper: $0.last.value)
        })
    }
    return try lists.map { (list) throws(CNIError) in
      let isIPv4 = list.ranges[0].subnet.family == .v4
      let set = RangeSet(list.ranges, excluding: spans[isIPv4 ? 0 : 1])
      guard set.total > 0 else {
        throw CNIError(
          .invalidConfiguration, "key \"\(list.key)\": no address of \(set) is left to lease",
          details: "all of them are gateways or in \"exclude\"")
      }
      return set
    }
  }

  /// The gateways of all ranges.
  public var gateways: [IPAddress] { sets.flatMap { $0.ranges.compactMap { $0.gateway } } }

  /// The gateways with the prefix lengths of their subnets.
  public var gatewayPrefixes: [IPPrefix] {
    sets.flatMap { set in
      set.ranges.compactMap { range in
        range.gateway.map { IPPrefix($0, length: range.subnet.length) }
      }
    }
  }

  /// The range that has an address, of any set; nil if none has it.
  public func range(of address: IPAddress) -> AddressRange? {
    for set in sets { if let range = set.range(of: address) { return range } }
    return nil
  }

  /// The ranges in the form of a configuration.
  var rangesJSON: JSON { .array(sets.map { .array($0.ranges.map { $0.json }) }) }

  /// `exclude` in the form of a configuration; nil if it is empty.
  var excludeJSON: JSON? {
    excluded.isEmpty ? nil : .array(excluded.map { .string($0.description) })
  }
}

/// The ranges of one set, and the key they come from.
private struct RangeList {
  let key: String
  let ranges: [AddressRange]
}

/// - Throws: error 7 naming the key of the later of two ranges that overlap.
private func refuseOverlaps(among lists: [RangeList]) throws(CNIError) {
  var ranges: [(list: Int, range: AddressRange)] = []
  for (index, list) in lists.enumerated() { ranges += list.ranges.map { (index, $0) } }
  let ascending = ranges.inOrder { $0.range.first < $1.range.first }
  // If any ranges overlap, so do two that are neighbours in this order.
  for (one, other) in zip(ascending, ascending.dropFirst())
  where one.range.subnet.family == other.range.subnet.family && other.range.first <= one.range.last
  {
    let (earlier, later) = one.list <= other.list ? (one, other) : (other, one)
    throw CNIError(
      .invalidConfiguration,
      "key \"\(lists[later.list].key)\": the range \(later.range) overlaps with \(earlier.range)",
      details: later.list == earlier.list
        ? "" : "\(earlier.range) is from the key \"\(lists[earlier.list].key)\"")
  }
}

extension Keys {
  /// The entries of `ranges`, in all range sets, for a check of their names. One that is not an object is left out:
  /// `Pools` refuses it.
  public var readableRanges: [Keys] {
    var entries: [Keys] = []
    for (set, ranges) in ((try? array("ranges")) ?? []).enumerated() {
      for (index, range) in (ranges.array ?? []).enumerated() {
        guard let object = range.object else { continue }
        entries.append(Keys(object, path: "\(path(of: "ranges"))[\(set)][\(index)]"))
      }
    }
    return entries
  }
}
