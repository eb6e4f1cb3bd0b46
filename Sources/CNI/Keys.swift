// SPDX-License-Identifier: Apache-2.0
import Addresses
import Embedded

/// The keys of one object of a configuration, read by type.
///
/// Every error is error 7 and names the key by its whole path, such as `ipam.ranges[0][1].subnet`.
/// A key whose value is `null` counts as absent.
public struct Keys {
  /// The object itself, unknown keys included.
  public let object: JSONObject
  private let place: String
  /// The index in the array that `place` names. Paths are composed only for errors: a cluster file has
  /// thousands of objects.
  private let index: Int?

  /// The keys of an object.
  /// - Parameter path: the object's path in the configuration, as in `ipam.ranges[0]`, for errors; empty at
  ///   the top.
  public init(_ object: JSONObject, path: String = "") {
    self.init(object, place: path, index: nil)
  }

  private init(_ object: JSONObject, place: String, index: Int?) {
    self.object = object
    self.place = place
    self.index = index
  }

  /// The keys of another object, in the same place of the configuration.
  public func replaced(by object: JSONObject) -> Keys {
    Keys(object, place: place, index: index)
  }

  /// The object's path in the configuration; empty at the top.
  public var path: String { index.map { "\(place)[\($0)]" } ?? place }

  /// The whole path of a key of this object.
  public func path(of key: String) -> String {
    let path = path
    return path.isEmpty ? key : "\(path).\(key)"
  }

  /// The error for an invalid value of a key of this object.
  public func invalid(_ key: String, _ problem: String) -> CNIError {
    CNIError(.invalidConfiguration, "key \"\(path(of: key))\" \(problem)")
  }

  /// Whether the key is there and its value is not `null`.
  public func has(_ key: String) -> Bool { value(key) != nil }

  /// A string; nil if the key is absent. A string with a NUL character in it is an error too.
  public func string(_ key: String) throws(CNIError) -> String? {
    guard let value = value(key) else { return nil }
    return try string(value, key)
  }

  private func string(_ value: JSON, _ key: String) throws(CNIError) -> String {
    if let text = text(value) { return text }
    guard value.string == nil else { throw invalid(key, "has a NUL character in it") }
    throw mismatch(key, "a string", value)
  }

  /// nil for a string with a NUL too: in C it ends a string, so a path would name another file.
  private func text(_ value: JSON) -> String? {
    value.string.flatMap { $0.utf8.contains(0) ? nil : $0 }
  }

  /// A string that is an absolute path; nil if the key is absent.
  @inline(never)
  public func absolutePath(_ key: String) throws(CNIError) -> String? {
    guard let path = try string(key) else { return nil }
    guard path.utf8.first == UInt8(ascii: "/") else {
      throw invalid(key, "is \"\(path)\", expected an absolute path")
    }
    return path
  }

  /// `true` or `false`; nil if the key is absent.
  public func bool(_ key: String) throws(CNIError) -> Bool? {
    guard let value = value(key) else { return nil }
    guard let bool = value.bool else { throw mismatch(key, "true or false", value) }
    return bool
  }

  /// A whole number within `range`, written without fraction and exponent; nil if the key is absent.
  public func int(_ key: String, in range: ClosedRange<Int>) throws(CNIError) -> Int? {
    guard let value = value(key) else { return nil }
    guard case .number(let spelling) = value else { throw mismatch(key, "a number", value) }
    guard let int = value.int, range.contains(int) else {
      throw invalid(
        key,
        "is \(spelling), expected a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return int
  }

  /// The keys of an object inside this one; nil if the key is absent.
  public func keys(_ key: String) throws(CNIError) -> Keys? {
    guard let value = value(key) else { return nil }
    guard let object = value.object else { throw mismatch(key, "an object", value) }
    return Keys(object, path: path(of: key))
  }

  /// An array, with elements of any type; nil if the key is absent.
  public func array(_ key: String) throws(CNIError) -> [JSON]? {
    guard let value = value(key) else { return nil }
    guard let array = value.array else { throw mismatch(key, "an array", value) }
    return array
  }

  /// An array of objects, each as its keys; nil if the key is absent.
  public func list(_ key: String) throws(CNIError) -> [Keys]? {
    guard let array = try array(key) else { return nil }
    let place = path(of: key)
    var list: [Keys] = []
    for (index, value) in array.enumerated() {
      guard let object = value.object else {
        throw mismatch("\(key)[\(index)]", "an object", value)
      }
      list.append(Keys(object, place: place, index: index))
    }
    return list
  }

  /// An array of strings without NUL characters; nil if the key is absent.
  public func strings(_ key: String) throws(CNIError) -> [String]? {
    guard let array = try array(key) else { return nil }
    var strings: [String] = []
    for (index, value) in array.enumerated() {
      // The name of an element is composed for an error alone: a million of them take seconds.
      guard let text = text(value) else {
        strings.append(try string(value, "\(key)[\(index)]"))
        continue
      }
      strings.append(text)
    }
    return strings
  }

  /// One string or a list of them, each standing for a value. Nothing happens if the key is absent.
  /// - Parameters:
  ///   - expected: for the message: "an IP address".
  ///   - take: gets each string; returns false to refuse it.
  @inline(never)
  public func each(
    _ key: String, as expected: @autoclosure () -> String, _ take: (String) -> Bool
  ) throws(CNIError) {
    guard let value = value(key) else { return }
    for (index, element) in (value.array ?? [value]).enumerated() {
      guard let text = element.string, take(text) else {
        let name = value.array == nil ? key : "\(key)[\(index)]"
        throw invalid(name, "is \"\(try string(element, name))\", expected \(expected())")
      }
    }
  }

  /// One address or a list of them; empty if the key is absent.
  /// - Parameter family: the family that all of them must have; nil for any.
  public func addresses(_ key: String, _ family: IPAddress.Family?) throws(CNIError) -> [IPAddress]
  {
    var addresses: [IPAddress] = []
    try each(key, as: family.map { "an address of family IPv\($0.version)" } ?? "an IP address") {
      text in
      guard let address = IPAddress(text), family == nil || address.family == family else {
        return false
      }
      addresses.append(address)
      return true
    }
    return addresses
  }

  /// One network, a prefix without host bits, or a list of them; empty if the key is absent. A network of all
  /// addresses is refused.
  public func networks(_ key: String) throws(CNIError) -> [IPPrefix] {
    var networks: [IPPrefix] = []
    try each(key, as: "a prefix without host bits, of length 1 or more") { text in
      guard let prefix = IPPrefix(text), prefix.isNetwork, prefix.length > 0 else { return false }
      networks.append(prefix)
      return true
    }
    return networks
  }

  /// An array whose elements are read by a function, which gets each element's path; nil if the key is
  /// absent.
  /// - Throws: also what the function throws.
  public func elements<Element>(
    _ key: String, _ read: (JSON, String) throws(CNIError) -> Element
  ) throws(CNIError) -> [Element]? {
    guard let array = try array(key) else { return nil }
    var elements: [Element] = []
    for (index, value) in array.enumerated() {
      elements.append(try read(value, "\(path(of: key))[\(index)]"))
    }
    return elements
  }

  /// A string that stands for a value, such as an address, a prefix or a name; nil if the key is absent.
  /// - Parameters:
  ///   - expected: for the message: "an IP address".
  ///   - parse: returns nil to refuse the string.
  public func parsed<Value>(
    _ key: String, as expected: String, _ parse: (String) -> Value?
  ) throws(CNIError) -> Value? {
    guard let text = try string(key) else { return nil }
    guard let value = parse(text) else {
      throw invalid(key, "is \"\(text)\", expected \(expected)")
    }
    return value
  }

  /// An IP address without a prefix length; nil if the key is absent.
  public func address(_ key: String) throws(CNIError) -> IPAddress? {
    try parsed(key, as: "an IP address") { IPAddress($0) }
  }

  /// As `address`, but nil for an empty string too, which is an absent address in Go.
  @inline(never)
  public func addressUnlessEmpty(_ key: String) throws(CNIError) -> IPAddress? {
    try string(key)?.isEmpty == false ? try address(key) : nil
  }

  /// A prefix such as `100.100.1.2/24`, whose host bits may be set; nil if the key is absent.
  public func prefix(_ key: String) throws(CNIError) -> IPPrefix? {
    try parsed(key, as: "a prefix such as 100.100.1.0/24") { IPPrefix($0) }
  }

  /// A prefix whose host bits are zero; nil if the key is absent.
  public func network(_ key: String) throws(CNIError) -> IPPrefix? {
    guard let prefix = try prefix(key) else { return nil }
    guard prefix.isNetwork else {
      throw invalid(key, "is \(prefix), which has host bits set, expected \(prefix.network)")
    }
    return prefix
  }

  /// `dns` unchanged, after its members' types are checked (specification section 5); nil if the key is
  /// absent.
  public func dns() throws(CNIError) -> JSONObject? {
    guard let dns = try keys("dns") else { return nil }
    _ = try dns.string("domain")
    for key in ["nameservers", "search", "options"] { _ = try dns.strings(key) }
    return dns.object
  }

  private func value(_ key: String) -> JSON? {
    guard let value = object[key] else { return nil }
    if case .null = value { return nil }
    return value
  }

  private func mismatch(_ key: String, _ expected: String, _ value: JSON) -> CNIError {
    Keys.mismatch(path(of: key), expected, value)
  }

  private static func mismatch(_ path: String, _ expected: String, _ value: JSON) -> CNIError {
    CNIError(.invalidConfiguration, "key \"\(path)\" must be \(expected), not \(value.kind)")
  }
}
