import CNI
import CNetlink

/// `humanz-ipam leases` and `humanz-ipam release`, for a person.
extension IPAMPlugin {
  static var usage: String {
    """
      humanz-ipam leases [NETWORK] [--json] [--data-dir DIR]
      humanz-ipam release NETWORK ADDRESS [--data-dir DIR]
    """
  }

  static func command(_ arguments: [String]) throws(CNIError) -> Int32? {
    var words: [String] = []
    var printsJSON = false
    var dataDirectory = IPAMConfiguration.defaultDataDirectory
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--json" {
        printsJSON = true
      } else if argument == "--data-dir", let path = rest.popFirst(),
        path.utf8.first == UInt8(ascii: "/")
      {
        dataDirectory = path
      } else if argument.utf8.first == UInt8(ascii: "-") {
        return nil
      } else {
        words.append(argument)
      }
    }
    if let verb = words.first, verb == "leases", words.count <= 2 {
      try printLeases(words.count == 2 ? words[1] : nil, in: dataDirectory, asJSON: printsJSON)
    } else if let verb = words.first, verb == "release", words.count == 3 {
      try release(words[2], of: words[1], in: dataDirectory)
    } else {
      return nil
    }
    return 0
  }

  /// Prints the leases of one network or of all of them.
  private static func printLeases(
    _ network: String?, in dataDirectory: String, asJSON: Bool
  ) throws(CNIError) {
    let networks = try network.map { (name) throws(CNIError) in [try parse(network: name)] }
    var reports: [LeaseReport] = []
    do throws(StoreError) {
      let all = try Directory(path: dataDirectory, make: false)
      let present = try all?.names().compactMap { NetworkName($0) } ?? []
      for name in networks ?? present {
        if var store = try LeaseStore(name, in: dataDirectory, make: false) {
          try? store.index()
          reports.append(try LeaseReport(of: name, store))
        }
      }
    } catch {
      throw CNIError(error)
    }
    if let name = network, reports.isEmpty { throw noStore(name, dataDirectory) }
    try StandardStream.print(
      asJSON
        ? JSON.array(reports.map { $0.json }).text
        : Array(reports.map { $0.table }.joined(separator: "\n\n").utf8))
  }

  /// Frees an address, whoever holds it.
  private static func release(
    _ address: String, of network: String, in dataDirectory: String
  ) throws(CNIError) {
    let name = try parse(network: network)
    guard let address = IPAddress(address) else {
      throw CNIError(.invalidEnvironment, "\"\(address)\" is no IP address")
    }
    guard let holder = try release(address, of: name, in: dataDirectory) else {
      throw CNIError(.unknownContainer, "\(address) is not leased on the network \(name)")
    }
    try StandardStream.print(Array("\(address) was held by \(holder) and is free now".utf8))
  }

  private static func release(
    _ address: IPAddress, of network: NetworkName, in dataDirectory: String
  ) throws(CNIError) -> Holder? {
    do throws(StoreError) {
      var store = try LeaseStore(network, in: dataDirectory, make: false)
      return try store?.release(address)
    } catch {
      throw CNIError(error)
    }
  }

  private static func parse(network: String) throws(CNIError) -> NetworkName {
    guard let name = NetworkName(network) else {
      throw CNIError(.invalidEnvironment, "\"\(network)\" is no name of a network")
    }
    return name
  }

  private static func noStore(_ network: String, _ dataDirectory: String) -> CNIError {
    CNIError(.unknownContainer, "there are no leases of \"\(network)\" in \(dataDirectory)")
  }
}
