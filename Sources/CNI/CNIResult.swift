// SPDX-License-Identifier: Apache-2.0
import Addresses
import Embedded

/// What ADD made: interfaces, addresses, routes and DNS, independent of the protocol version.
///
/// It is read from the form of any version and written in any; see `json(version:)` for what is left out.
/// The result and each entry keep the object they were read from: fields that we do not know come out
/// unchanged and in their places.
/// Source: specification section 5, "Success"; for 0.1.0 and 0.2.0, their own section "Result".
public struct CNIResult: Equatable {
  /// The interfaces, the earlier plugins' first. `ResultIP.interface` is an index into them.
  public var interfaces: [ResultInterface] = []
  /// The addresses, in the order in which the IPAM plugin gave them. Before 0.3.0 only the first of each
  /// family is written.
  public var ips: [ResultIP] = []
  /// The routes, in the order in which they were read.
  public var routes: [ResultRoute] = []
  /// `nameservers`, `domain`, `search` and `options`, unchanged; nil if there are none.
  public var dns: JSONObject?
  /// The object it was read from. It gives the order of the fields, and those that we do not know.
  private var fields = JSONObject()

  /// A result with nothing in it.
  public init() {}

  /// The first interface of a name in a namespace, with its index in `interfaces`; nil if there is none.
  /// - Parameter sandbox: the path of the namespace, as in `ResultInterface.sandbox`.
  public func interface(
    _ name: InterfaceName, sandbox: String
  ) -> (index: Int, interface: ResultInterface)? {
    for (index, interface) in interfaces.enumerated()
    where interface.name == name.description && interface.sandbox == sandbox {
      return (index, interface)
    }
    return nil
  }
}

/// An entry of `interfaces`.
public struct ResultInterface: Equatable {
  fileprivate var fields: JSONObject

  /// An entry with these fields and no others.
  /// - Parameters:
  ///   - mtu: in bytes; give it for results from 1.1.0 on only: it is written in every version.
  ///   - sandbox: the path of its network namespace; nil for an interface of the node.
  public init(name: InterfaceName, mac: MACAddress?, mtu: Int? = nil, sandbox: String? = nil) {
    fields = JSONObject(
      ("name", .string(name.description)), ("mac", mac.map { .string($0.description) }),
      ("mtu", mtu.map { .number($0) }), ("sandbox", sandbox.map { .string($0) }))
  }

  /// `name`; empty if it is absent or not a string.
  public var name: String { fields["name"]?.string ?? "" }
  /// `mac`; nil if it is absent or not an Ethernet address.
  public var mac: MACAddress? { fields["mac"]?.string.flatMap { MACAddress($0) } }
  /// The path of its network namespace; nil for an interface of the node.
  public var sandbox: String? {
    guard let sandbox = fields["sandbox"]?.string, !sandbox.isEmpty else { return nil }
    return sandbox
  }
}

/// An entry of `ips`.
public struct ResultIP: Equatable {
  /// The address with the prefix length of its subnet.
  public let address: IPPrefix
  /// The gateway of the address's subnet; nil if there is none.
  public var gateway: IPAddress? {
    didSet { fields["gateway"] = gateway.map { .string($0.description) } }
  }
  /// An index into `CNIResult.interfaces`; nil if it is not known, as in the result of an IPAM delegate.
  public var interface: Int? {
    didSet { fields["interface"] = interface.map { .number($0) } }
  }
  fileprivate var fields: JSONObject

  /// An entry with these fields and no others.
  public init(_ address: IPPrefix, gateway: IPAddress?, interface: Int? = nil) {
    self.address = address
    self.gateway = gateway
    self.interface = interface
    fields = JSONObject(
      ("interface", interface.map { .number($0) }), ("address", .string(address.description)),
      ("gateway", gateway.map { .string($0.description) }))
  }
}

/// An entry of `routes`.
public struct ResultRoute: Equatable {
  /// `dst`. Its host bits may be set.
  public let destination: IPPrefix
  /// `gw`, of the destination's family; nil: the gateway of an entry of `ips` may be used.
  public let gateway: IPAddress?
  /// The path MTU in bytes; nil if none is set.
  public let mtu: UInt32?
  /// The largest TCP segment to announce, in bytes; nil if none is set.
  public let advmss: UInt32?
  /// The metric: of several routes the one with the lowest is used. nil for the kernel's default.
  public let priority: UInt32?
  /// The number of the routing table; nil for the main table.
  public let table: UInt32?
  /// An `rt_scope_t`: 0 universe, 253 link, 254 host; nil for the kernel's default.
  public let scope: UInt8?
  fileprivate let fields: JSONObject

  /// A route with these fields and no others.
  public init(_ destination: IPPrefix, gateway: IPAddress? = nil) {
    self.destination = destination
    self.gateway = gateway
    (mtu, advmss, priority, table, scope) = (nil, nil, nil, nil, nil)
    fields = JSONObject(
      ("dst", .string(destination.description)), ("gw", gateway.map { .string($0.description) }))
  }

  /// Reads a route of a result or of a configuration.
  /// - Throws: error 7 naming the key, for a gateway of another family than the destination too.
  public init(_ keys: Keys) throws(CNIError) {
    guard let destination = try keys.prefix("dst") else {
      throw keys.invalid("dst", "is required: the destination of the route")
    }
    self.destination = destination
    gateway = try keys.addressUnlessEmpty("gw")
    if let gateway, gateway.family != destination.family {
      throw keys.invalid("gw", "is \(gateway), of another family than \"dst\"")
    }
    mtu = try keys.int("mtu", in: 0...Int(UInt32.max)).map { UInt32($0) }
    advmss = try keys.int("advmss", in: 0...Int(UInt32.max)).map { UInt32($0) }
    priority = try keys.int("priority", in: 0...Int(UInt32.max)).map { UInt32($0) }
    table = try keys.int("table", in: 0...Int(UInt32.max)).map { UInt32($0) }
    scope = try keys.int("scope", in: 0...255).map { UInt8($0) }
    var fields = keys.object
    if gateway == nil { fields["gw"] = nil }
    self.fields = fields
  }
}

// MARK: - Reading

extension CNIResult {
  /// Reads a result in the form of its own `cniVersion`, or of `version` if it has none.
  /// - Throws: error 7 naming the key, 1 for a version that is not supported.
  public init(_ keys: Keys, version: ProtocolVersion) throws(CNIError) {
    let version = keys.has("cniVersion") ? try NetworkConfiguration.version(keys) : version
    fields = keys.object
    dns = try keys.keys("dns").flatMap { $0.object.isEmpty ? nil : $0.object }
    if version.hasPairResult {
      for key in ["ip4", "ip6"] {
        if let pair = try keys.keys(key) { try readPair(pair) }
      }
      // This form has no such lists: what was not parsed must not be written in another form.
      for key in ["interfaces", "ips", "routes"] { fields[key] = nil }
      return
    }
    interfaces = try keys.list("interfaces")?.map { ResultInterface(fields: $0.object) } ?? []
    ips =
      try keys.list("ips")?.map { (entry) throws(CNIError) in
        try ResultIP(entry, address: "address")
      } ?? []
    routes =
      try keys.list("routes")?.map { (entry) throws(CNIError) in try ResultRoute(entry) } ?? []
  }

  /// Reads what is valid, and leaves the rest out.
  init(readable keys: Keys, version: ProtocolVersion) {
    let version =
      (try? NetworkConfiguration.version(keys)).flatMap {
        keys.has("cniVersion") ? $0 : nil
      } ?? version
    fields = keys.object
    if version.hasPairResult {
      for key in ["ip4", "ip6"] {
        if let pair = try? keys.keys(key), let ip = ResultIP(readable: pair, address: "ip") {
          ips.append(ip)
        }
      }
      return
    }
    // An entry that is not an object keeps its place: entries are referred to by their index.
    for entry in (try? keys.array("interfaces")) ?? [] {
      interfaces.append(ResultInterface(fields: entry.object ?? JSONObject()))
    }
    for entry in (try? keys.array("ips")) ?? [] {
      guard let object = entry.object else { continue }
      if let ip = ResultIP(readable: Keys(object), address: "address") { ips.append(ip) }
    }
  }

  /// Reads `ip4` or `ip6` of a result before 0.3.0: one address and the routes of its family.
  private mutating func readPair(_ pair: Keys) throws(CNIError) {
    ips.append(try ResultIP(pair, address: "ip"))
    routes +=
      try pair.list("routes")?.map { (entry) throws(CNIError) in try ResultRoute(entry) } ?? []
  }
}

extension ResultInterface {
  fileprivate init(fields: JSONObject) { self.fields = fields }
}

extension ResultIP {
  fileprivate init(_ keys: Keys, address key: String) throws(CNIError) {
    guard let address = try keys.prefix(key) else {
      throw keys.invalid(key, "is required: an address with its prefix length")
    }
    self.address = address
    gateway = try keys.addressUnlessEmpty("gateway")
    if let gateway, gateway.family != address.family {
      throw keys.invalid("gateway", "is \(gateway), of another family than \"\(key)\"")
    }
    interface = try keys.int("interface", in: -1...Int(Int32.max)).flatMap { $0 < 0 ? nil : $0 }
    fields = keys.object
    if key != "address" {
      fields["routes"] = nil
      fields = fields.renaming(key, to: "address")
    }
  }

  /// Reads the address and the interface's index; nil if there is no address.
  @inline(never)
  fileprivate init?(readable keys: Keys, address key: String) {
    guard let address = try? keys.prefix(key) else { return nil }
    let index = try? keys.int("interface", in: 0...Int(Int32.max))
    self.init(address, gateway: nil, interface: index)
  }
}

// MARK: - Writing

extension CNIResult {
  /// The result in a version's form. The lists or pairs of the other form are left out; all other members are
  /// written as they are.
  public func json(version: ProtocolVersion) -> JSON {
    var object = fields
    object["cniVersion"] = .string(version.description)
    if version.hasPairResult {
      for key in ["interfaces", "ips", "routes"] { object[key] = nil }
      object["ip4"] = pair(.v4)
      object["ip6"] = pair(.v6)
    } else {
      for key in ["ip4", "ip6"] { object[key] = nil }
      object.set("interfaces", interfaces.map { .object($0.fields) })
      object.set("ips", ips.map { .object($0.fields(version: version)) })
      object.set("routes", routes.map { .object($0.fields) })
    }
    object["dns"] = .object(dns ?? JSONObject())
    return .object(object)
  }

  /// The first address of a family with the family's routes: all that 0.1.0 and 0.2.0 can express.
  private func pair(_ family: IPAddress.Family) -> JSON? {
    guard var pair = ips.first(where: { $0.address.family == family })?.fields else { return nil }
    let routes = routes.filter { $0.destination.family == family }.map { JSON.object($0.fields) }
    pair["version"] = nil
    pair["interface"] = nil
    pair["routes"] = routes.isEmpty ? nil : .array(routes)
    return .object(pair.renaming("address", to: "ip"))
  }
}

extension JSONObject {
  /// Sets a list. If it is empty, the member stays as it was read: usually there is none.
  fileprivate mutating func set(_ key: String, _ entries: [JSON]) {
    if !entries.isEmpty { self[key] = .array(entries) }
  }
}

extension ResultIP {
  fileprivate func fields(version: ProtocolVersion) -> JSONObject {
    var fields = fields
    let family = JSON.string(address.family.version)
    if !version.namesFamilies {
      fields["version"] = nil
    } else if fields["version"] != nil {
      fields["version"] = family
    } else {
      fields = JSONObject(members: [JSONObject.Member("version", family)] + fields.members)
    }
    return fields
  }
}
