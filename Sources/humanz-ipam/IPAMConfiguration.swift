// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Netlink
import Node
import Routes

/// The part of the configuration that DEL and GC read: where the network's leases are.
struct StoreLocation {
  /// Whether the plugin runs as a stage of the chain, named by its own entry's `type`. Otherwise it is a
  /// delegate, named by another plugin's `ipam.type`.
  let isStage: Bool
  let dataDirectory: String

  /// - Throws: error 7 if `dataDir` is not an absolute path.
  init(_ invocation: Invocation) throws(CNIError) {
    let configuration = invocation.configuration
    isStage = configuration.type == IPAMPlugin.name
    let section = try? configuration.keys.keys("ipam")
    let keys = section ?? configuration.keys
    dataDirectory = try keys.absolutePath("dataDir") ?? LeaseFolder.ours
  }
}

/// The keys of `humanz-ipam`.
struct IPAMConfiguration {
  /// Whether the plugin runs as a stage of the chain: see `StoreLocation`.
  let isStage: Bool
  let dataDirectory: String
  /// Whether a stage sets the gateway addresses on the bridge in prevResult.
  let isGateway: Bool
  /// Whether a stage replaces another address of the bridge in a gateway's subnet.
  let forceAddress: Bool
  /// The `ipam` section; a stage may also have its keys at the top level.
  private let keys: Keys
  private let invocation: Invocation
  private var configuration: NetworkConfiguration { invocation.configuration }
  var log: Log { configuration.log }

  /// - Throws: error 7 naming the key.
  init(_ invocation: Invocation) throws(CNIError) {
    self.invocation = invocation
    let configuration = invocation.configuration
    isStage = configuration.type == IPAMPlugin.name
    let section = try configuration.keys.keys("ipam")
    guard let keys = section ?? (isStage ? configuration.keys : nil) else {
      throw configuration.keys.invalid("ipam", "is required: the section with \"subnet\"")
    }
    self.keys = keys
    dataDirectory = try keys.absolutePath("dataDir") ?? LeaseFolder.ours
    isGateway = try keys.bool("isGateway") ?? true
    forceAddress = try keys.bool("forceAddress") ?? false
  }

  /// The range sets: see `Pools`.
  /// - Throws: error 7 naming the key, also if there is no range at all; 5, 6 or 11 for the cluster file.
  func pools() throws(CNIError) -> Pools {
    var clusterFile: (path: String, subnets: [IPPrefix])?
    if let path = try keys.absolutePath("clusterFile") {
      let subnets = try ClusterFile(path: path).subnets
      guard !subnets.isEmpty else {
        throw keys.invalid("clusterFile", "is \(path), which has no subnet of this node")
      }
      clusterFile = (path, subnets)
    }
    let pools = try Pools(
      keys, runtimeConfig: configuration.runtimeConfig("ipRanges"), clusterFile: clusterFile)
    guard !pools.sets.isEmpty else {
      throw keys.invalid("subnet", "is required: a prefix such as 100.100.0.0/24")
    }
    try refuseSetsBeyondResult(pools)
    return pools
  }

  /// A result before 0.3.0 can hold only one address of each family.
  private func refuseSetsBeyondResult(_ pools: Pools) throws(CNIError) {
    guard configuration.version.hasPairResult else { return }
    for family in [IPAddress.Family.v4, .v6]
    where pools.sets.count(where: { $0.family == family }) > 1 {
      throw keys.invalid(
        "ranges",
        "and the other keys with ranges give two sets of one family: a result of cniVersion "
          + "\(configuration.version) holds one address of each family")
    }
  }

  /// The requested addresses: `runtimeConfig.ips`, else `args.cni.ips`, else IP in CNI_ARGS.
  /// - Throws: error 7 naming the key, 4 for CNI_ARGS.
  func requestedAddresses() throws(CNIError) -> [IPAddress] {
    try invocation.requested(
      "ips", argument: "IP",
      fromKeys: { (keys: Keys) throws(CNIError) -> [IPAddress]? in
        let addresses = try keys.elements("ips") {
          (value: JSON, path: String) throws(CNIError) -> IPAddress in
          guard let address = value.string.flatMap({ addressWithOrWithoutLength($0) }) else {
            throw CNIError(.invalidConfiguration, "key \"\(path)\": expected an IP address")
          }
          return address
        }
        return addresses?.isEmpty == false ? addresses : nil
      },
      fromText: { (text: String) throws(CNIError) -> [IPAddress]? in
        var addresses: [IPAddress] = []
        for field in text.fields(separatedBy: ",") {
          guard let address = addressWithOrWithoutLength(field) else {
            throw CNIError(
              .invalidEnvironment, "CNI_ARGS: IP is \"\(field)\", expected an IP address")
          }
          addresses.append(address)
        }
        return addresses
      }) ?? []
  }

  /// The routes for the result. A later stage or the delegating plugin makes them.
  func routes() throws(CNIError) -> [ResultRoute] {
    try keys.list("routes")?.map { (route) throws(CNIError) in try ResultRoute(route) } ?? []
  }

  /// `dns`, or the content of the file that `resolvConf` names.
  func dns() throws(CNIError) -> JSONObject? {
    if let dns = try keys.dns(), !dns.isEmpty { return dns }
    guard let path = try keys.string("resolvConf"), !path.isEmpty else { return nil }
    return try resolverConfiguration(at: path)
  }
}

/// The address of `ADDRESS` or `ADDRESS/LENGTH`.
private func addressWithOrWithoutLength(_ text: String) -> IPAddress? {
  IPAddress(text) ?? IPPrefix(text)?.address
}
