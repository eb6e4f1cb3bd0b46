/// The keys of one object of a configuration, read by type.
///
/// Every error is error 7 and names the key by its whole path, as in `ipam.ranges[0][1].subnet`.
/// A key that is `null` counts as absent.
public struct Keys {
  public let object: JSONObject
  /// Where the object stands in the configuration: empty at the top.
  public let path: String

  public init(_ object: JSONObject, path: String = "") {
    self.object = object
    self.path = path
  }

  /// The whole path of a key of this object.
  public func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  /// The error that a key of this object has a value it cannot have.
  public func invalid(_ key: String, _ problem: String) -> CNIError {
    CNIError(.invalidConfiguration, "key \"\(path(of: key))\" \(problem)")
  }

  public func has(_ key: String) -> Bool { value(key) != nil }

  public func string(_ key: String) throws(CNIError) -> String? {
    guard let value = value(key) else { return nil }
    return try Keys.string(value, path(of: key))
  }

  /// C sees a string end at a NUL: where it is a path, another file would be meant.
  private static func string(_ value: JSON, _ path: String) throws(CNIError) -> String {
    guard let string = value.string else { throw mismatch(path, "a string", value) }
    guard !string.utf8.contains(0) else {
      throw CNIError(.invalidConfiguration, "key \"\(path)\" has a NUL character in it")
    }
    return string
  }

  public func bool(_ key: String) throws(CNIError) -> Bool? {
    guard let value = value(key) else { return nil }
    guard let bool = value.bool else { throw mismatch(key, "true or false", value) }
    return bool
  }

  /// A whole number within `range`.
  public func int(_ key: String, in range: ClosedRange<Int>) throws(CNIError) -> Int? {
    guard let value = value(key) else { return nil }
    guard case .number(let spelling) = value else { throw mismatch(key, "a number", value) }
    guard let int = value.int, range.contains(int) else {
      throw invalid(
        key, "is \(spelling): a whole number from \(range.lowerBound) to \(range.upperBound) is due"
      )
    }
    return int
  }

  /// The keys of an object inside this one.
  public func keys(_ key: String) throws(CNIError) -> Keys? {
    guard let value = value(key) else { return nil }
    guard let object = value.object else { throw mismatch(key, "an object", value) }
    return Keys(object, path: path(of: key))
  }

  public func array(_ key: String) throws(CNIError) -> [JSON]? {
    guard let value = value(key) else { return nil }
    guard let array = value.array else { throw mismatch(key, "an array", value) }
    return array
  }

  /// An array of objects, each as its keys.
  public func list(_ key: String) throws(CNIError) -> [Keys]? {
    try elements(key) { (value: JSON, path: String) throws(CNIError) in
      guard let object = value.object else { throw Keys.mismatch(path, "an object", value) }
      return Keys(object, path: path)
    }
  }

  /// An array of strings.
  public func strings(_ key: String) throws(CNIError) -> [String]? {
    try elements(key) { (value: JSON, path: String) throws(CNIError) in
      try Keys.string(value, path)
    }
  }

  /// An array whose elements are read by a function that is given each one's path.
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

  /// A string that stands for a value: an address, a prefix, a name.
  /// - Parameter expected: what is due, for the message: "an IP address".
  public func parsed<Value>(
    _ key: String, as expected: String, _ parse: (String) -> Value?
  ) throws(CNIError) -> Value? {
    guard let text = try string(key) else { return nil }
    guard let value = parse(text) else {
      throw invalid(key, "is \"\(text)\": \(expected) is due")
    }
    return value
  }

  public func address(_ key: String) throws(CNIError) -> IPAddress? {
    try parsed(key, as: "an IP address") { IPAddress($0) }
  }

  public func prefix(_ key: String) throws(CNIError) -> IPPrefix? {
    try parsed(key, as: "a prefix such as 100.100.1.0/24") { IPPrefix($0) }
  }

  /// A prefix whose host bits are zero.
  public func network(_ key: String) throws(CNIError) -> IPPrefix? {
    guard let prefix = try prefix(key) else { return nil }
    guard prefix.isNetwork else {
      throw invalid(key, "is \(prefix), which has host bits set: \(prefix.network) is meant")
    }
    return prefix
  }

  /// `dns` as it came, its members of the types they must have (specification section 5).
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
