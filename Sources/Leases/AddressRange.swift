import Addresses
import CNI
import Embedded
import Node

/// A pool: the addresses of a subnet that may be given, and the subnet's gateway.
///
/// Keys and defaults are host-local's. The network's own address is never given, nor IPv4's
/// broadcast address, nor the gateway; of a /31 or /127 both addresses are usable (RFC 3021,
/// RFC 6164), and there is a gateway only where one is configured.
public struct AddressRange: Equatable {
  public let subnet: IPPrefix
  public let first: IPAddress
  public let last: IPAddress
  /// nil in a /31 or /127 for which none is configured.
  public let gateway: IPAddress?

  /// Reads `subnet`, `rangeStart`, `rangeEnd` and `gateway`.
  /// - Throws: error 7 naming the key.
  public init(_ keys: Keys) throws(CNIError) {
    guard let subnet = try keys.network("subnet") else {
      throw keys.invalid("subnet", "is missing: a prefix such as 100.100.0.0/24 is due")
    }
    let hostBits = subnet.family.bits - subnet.length
    guard hostBits > 0 else {
      throw keys.invalid("subnet", "is \(subnet), too small to give addresses from")
    }
    self.subnet = subnet
    let usable = AddressRange.usable(subnet)
    let start = try AddressRange.address("rangeStart", of: subnet, keys) ?? usable.lowerBound
    let end = try AddressRange.address("rangeEnd", of: subnet, keys) ?? usable.upperBound
    guard start <= end else {
      throw keys.invalid("rangeStart", "is \(start), above \"rangeEnd\" \(end)")
    }
    first = max(start, usable.lowerBound)
    last = min(end, usable.upperBound)
    guard first <= last else {
      throw keys.invalid("rangeStart", "leaves no address of \(subnet) to give")
    }
    let gateway = try AddressRange.address("gateway", of: subnet, keys)
    self.gateway = gateway ?? (hostBits == 1 ? nil : subnet.first.advanced(by: 1))
  }

  /// The addresses of a subnet that a host can have.
  private static func usable(_ subnet: IPPrefix) -> ClosedRange<IPAddress> {
    guard subnet.family.bits - subnet.length > 1 else { return subnet.first...subnet.last }
    let last = subnet.last
    return subnet.first.advanced(
      by: 1)!...(subnet.family == .v4
      ? IPAddress(.v4, last.value - 1) : last)
  }

  private static func address(
    _ key: String, of subnet: IPPrefix, _ keys: Keys
  ) throws(CNIError) -> IPAddress? {
    guard let address = try keys.address(key) else { return nil }
    guard subnet.contains(address) else {
      throw keys.invalid(key, "is \(address), which is not in \"subnet\" \(subnet)")
    }
    return address
  }

  public func contains(_ address: IPAddress) -> Bool {
    address.family == subnet.family && first <= address && address <= last
  }

  func overlaps(_ other: AddressRange) -> Bool {
    subnet.family == other.subnet.family && first <= other.last && other.first <= last
  }

  /// The range as a configuration has it.
  public var json: JSON {
    .object(
      JSONObject(
        ("subnet", .string(subnet.description)), ("rangeStart", .string(first.description)),
        ("rangeEnd", .string(last.description)),
        ("gateway", gateway.map { .string($0.description) })))
  }
}

extension AddressRange: CustomStringConvertible {
  /// The subnet, with the range where that is less than all of it.
  public var description: String {
    let usable = AddressRange.usable(subnet)
    return usable == first...last ? "\(subnet)" : "\(subnet) (\(first) to \(last))"
  }
}
