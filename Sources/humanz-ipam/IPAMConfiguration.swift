import CNI

/// The keys of `humanz-ipam`, read as each verb needs them: a DEL works where the ranges do not.
struct IPAMConfiguration {
  /// Where the leases of all networks are. On tmpfs, so that a reboot frees them.
  static let defaultDataDirectory = "/run/humanz/ipam"

  /// Whether we are a stage of the chain, named in our own entry's `type`; else a delegate, named in
  /// another plugin's `ipam.type`.
  let isStage: Bool
  let dataDirectory: String
  /// The `ipam` section; a stage may have its keys at the top too.
  let keys: Keys
  private let configuration: NetworkConfiguration
  private let arguments: CNIArguments

  /// - Throws: error 7 naming the key.
  init(_ invocation: Invocation) throws(CNIError) {
    configuration = invocation.configuration
    arguments = invocation.arguments
    isStage = configuration.type == IPAMPlugin.name
    let section = try configuration.keys.keys("ipam")
    guard let keys = section ?? (isStage ? configuration.keys : nil) else {
      throw configuration.keys.invalid("ipam", "is missing: the section with \"subnet\" is due")
    }
    self.keys = keys
    dataDirectory =
      try keys.parsed("dataDir", as: "an absolute path") { $0.utf8.first == 0x2f ? $0 : nil }
      ?? IPAMConfiguration.defaultDataDirectory
  }

  /// Whether the gateway addresses are put on the bridge of prevResult.
  var isGateway: Bool {
    get throws(CNIError) { try keys.bool("isGateway") ?? true }
  }

  /// The pools, as host-local orders them: `runtimeConfig.ipRanges`, `subnet`, `ranges`; after them
  /// the node's subnets in `clusterFile`.
  /// - Throws: error 7 naming the key; also where there is none.
  var pools: Pools {
    get throws(CNIError) {
      var pools = try Pools(keys)
      if let runtimeConfig = try configuration.runtimeConfig("ipRanges") {
        try pools.add(runtimeConfig, "ipRanges", first: true)
      }
      if let path = try keys.string("clusterFile") { try pools.add(clusterFile: path, keys) }
      guard !pools.sets.isEmpty else {
        throw keys.invalid("subnet", "is missing: a prefix such as 100.100.0.0/24 is due")
      }
      try refuseWhatNoResultHolds(pools)
      return pools
    }
  }

  /// A result before 0.3.0 has room for one address of each family.
  private func refuseWhatNoResultHolds(_ pools: Pools) throws(CNIError) {
    guard configuration.version.hasPairResult else { return }
    for family in [IPAddress.Family.v4, .v6]
    where pools.sets.count(where: { $0.family == family }) > 1 {
      throw keys.invalid(
        "ranges",
        "has two sets of a family: a result of cniVersion \(configuration.version) holds one address"
      )
    }
  }

  /// The addresses that are asked for: of `runtimeConfig.ips`, `args.cni.ips` and IP in CNI_ARGS the
  /// first that names any.
  /// - Throws: error 7 naming the key, 4 for CNI_ARGS.
  var requestedAddresses: [IPAddress] {
    get throws(CNIError) {
      if let ips = try configuration.runtimeConfig("ips").addresses("ips"), !ips.isEmpty {
        return ips
      }
      if let ips = try configuration.cniArguments.addresses("ips"), !ips.isEmpty { return ips }
      var addresses: [IPAddress] = []
      for text in (arguments["IP"] ?? "").fields(separatedBy: ",") {
        guard let address = addressOfEither(text) else {
          throw CNIError(
            .invalidEnvironment, "CNI_ARGS: IP is \"\(text)\": an IP address is due")
        }
        addresses.append(address)
      }
      return addresses
    }
  }

  /// The routes of the result, which whoever comes after us makes.
  var routes: [ResultRoute] {
    get throws(CNIError) {
      try keys.list("routes")?.map { (route) throws(CNIError) in try ResultRoute(route) } ?? []
    }
  }

  /// `dns`, or what the file `resolvConf` says.
  var dns: JSONObject? {
    get throws(CNIError) {
      if let dns = try keys.dns(), !dns.isEmpty { return dns }
      guard let path = try keys.string("resolvConf"), !path.isEmpty else { return nil }
      return try resolverConfiguration(at: path)
    }
  }
}

extension Keys? {
  /// A list of addresses, with or without a prefix length.
  fileprivate func addresses(_ key: String) throws(CNIError) -> [IPAddress]? {
    try self?.elements(key) { (value: JSON, path: String) throws(CNIError) in
      guard let address = value.string.flatMap({ addressOfEither($0) }) else {
        throw CNIError(.invalidConfiguration, "key \"\(path)\": an IP address is due")
      }
      return address
    }
  }
}

/// The address of `ADDRESS` or `ADDRESS/LENGTH`.
private func addressOfEither(_ text: String) -> IPAddress? {
  IPAddress(text) ?? IPPrefix(text)?.address
}
