import Addresses
import CNI
import Embedded
import Node

/// The range sets of a network: an attachment gets one address of each.
public struct Pools {
  public private(set) var sets: [RangeSet] = []
  private let excluded: [IPPrefix]

  /// Reads `subnet` with its keys, `ranges` and `exclude`.
  /// - Throws: error 7 naming the key.
  public init(_ keys: Keys) throws(CNIError) {
    excluded =
      try keys.elements("exclude") { (value: JSON, path: String) throws(CNIError) in
        let text = value.string ?? ""
        guard let prefix = IPPrefix(text) ?? IPAddress(text).map({ IPPrefix(host: $0) }) else {
          throw CNIError(
            .invalidConfiguration, "key \"\(path)\": an IP address or a prefix is due")
        }
        return prefix.network
      } ?? []
    if keys.has("subnet") { try append([AddressRange(keys)], keys.path(of: "subnet")) }
    try add(keys, "ranges")
  }

  /// Adds a list of range sets.
  public mutating func add(_ keys: Keys, _ key: String, first: Bool = false) throws(CNIError) {
    let lists =
      try keys.elements(key) { (value: JSON, path: String) throws(CNIError) -> [AddressRange] in
        guard let list = value.array, !list.isEmpty else {
          throw CNIError(
            .invalidConfiguration, "key \"\(path)\" must be an array of at least one range")
        }
        var ranges: [AddressRange] = []
        for (index, range) in list.enumerated() {
          guard let object = range.object else {
            throw CNIError(
              .invalidConfiguration,
              "key \"\(path)[\(index)]\" must be an object, not \(range.kind)"
            )
          }
          ranges.append(try AddressRange(Keys(object, path: "\(path)[\(index)]")))
        }
        return ranges
      } ?? []
    for (index, ranges) in lists.enumerated() {
      try append(ranges, "\(keys.path(of: key))[\(index)]", at: first ? index : sets.count)
    }
  }

  /// Adds a set for each of some subnets, with their default ranges.
  /// - Parameter origin: where the subnets come from, for messages.
  public mutating func add(subnets: [IPPrefix], from origin: String) throws(CNIError) {
    for (index, subnet) in subnets.enumerated() {
      let range = Keys(
        JSONObject(("subnet", .string(subnet.description))), path: "\(origin) subnets[\(index)]")
      try append([AddressRange(range)], range.path)
    }
  }

  /// - Parameter key: for messages.
  private mutating func append(
    _ ranges: [AddressRange], _ key: String, at index: Int? = nil
  ) throws(CNIError) {
    for (position, range) in ranges.enumerated() {
      guard range.subnet.family == ranges[0].subnet.family else {
        throw CNIError(
          .invalidConfiguration,
          "key \"\(key)\" has IPv4 and IPv6 in one set: an attachment gets one address of each set")
      }
      for other in sets.flatMap({ $0.ranges }) + ranges[..<position] where other.overlaps(range) {
        throw CNIError(
          .invalidConfiguration, "key \"\(key)\": the range \(range) overlaps with \(other)")
      }
    }
    sets.insert(RangeSet(ranges, excluding: []), at: index ?? sets.count)
    // A gateway is nobody's address, whichever set's it is.
    let kept = excluded + gateways.map { IPPrefix(host: $0) }
    sets = sets.map { RangeSet($0.ranges, excluding: kept) }
    for set in sets where set.total == 0 {
      throw CNIError(
        .invalidConfiguration, "key \"\(key)\": no address is left of \(set) to give")
    }
  }

  /// The gateways of all sets.
  public var gateways: [IPAddress] { sets.flatMap { $0.ranges.compactMap { $0.gateway } } }

  /// The range an address is in, whichever set's.
  public func range(of address: IPAddress) -> AddressRange? {
    for set in sets { if let range = set.range(of: address) { return range } }
    return nil
  }

  /// The pools in the form of a configuration, by which a person's command knows them.
  public var json: JSON {
    .object(
      JSONObject(
        ("ranges", .array(sets.map { .array($0.ranges.map { $0.json }) })),
        (
          "exclude",
          excluded.isEmpty ? nil : .array(excluded.map { .string($0.description) })
        )))
  }
}
