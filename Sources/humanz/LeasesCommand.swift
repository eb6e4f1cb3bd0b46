import Addresses
import CNI
import CNetlink
import Embedded
import Leases
import Netfilter
import Netlink
import System

/// `humanz leases`: the leases of one network or of all.
struct LeasesCommand {
  private let options: StoreOptions

  init(_ arguments: [String]) throws(CNIError) {
    options = try StoreOptions(arguments)
    guard options.words.count <= 1 else { throw UsageError.error("leases: expected one NETWORK") }
  }

  func run() throws(CNIError) -> Int32 {
    var reports: [LeaseReport] = []
    let networks = try options.words.map { (name) throws(CNIError) in try parse(network: name) }
    do throws(SystemError) {
      let all = try Directory(path: options.dataDirectory, make: false)
      let present = try all?.names().compactMap { NetworkName($0) } ?? []
      for name in networks.isEmpty ? present : networks {
        if let store = try LeaseReader(name, in: options.dataDirectory), try store.isStore() {
          reports.append(try LeaseReport(of: name, store))
        }
      }
    } catch {
      throw CNIError(error)
    }
    if let name = networks.first, reports.isEmpty {
      throw CNIError(
        .unknownContainer, "there are no leases of \"\(name)\" in \(options.dataDirectory)")
    }
    try printLine(
      options.printsJSON
        ? JSON.array(reports.map { $0.json }).text
        : Array(reports.map { $0.table }.joined(separator: "\n\n").utf8))
    return 0
  }
}

/// `humanz release`: frees an address, whatever attachment holds it.
struct ReleaseCommand {
  private let options: StoreOptions
  private let network: NetworkName
  private let address: IPAddress

  init(_ arguments: [String]) throws(CNIError) {
    options = try StoreOptions(arguments)
    guard options.words.count == 2 else {
      throw UsageError.error("release: expected NETWORK ADDRESS")
    }
    network = try parse(network: options.words[0])
    guard let address = IPAddress(options.words[1]) else {
      throw CNIError(.invalidEnvironment, "\"\(options.words[1])\" is not an IP address")
    }
    self.address = address
  }

  func run() throws(CNIError) -> Int32 {
    var holder: Holder?
    do throws(SystemError) {
      var store = try LeaseStore(network, in: options.dataDirectory, make: false)
      holder = try store?.release(address)
    } catch {
      throw CNIError(error)
    }
    guard let holder else {
      throw CNIError(.unknownContainer, "\(address) is not leased on the network \(network)")
    }
    try printLine("\(address) was held by \(holder) and is free now")
    return 0
  }
}

/// The options of the commands that look at lease stores.
private struct StoreOptions {
  var words: [String] = []
  var printsJSON = false
  var dataDirectory = "/run/humanz/ipam"

  init(_ arguments: [String]) throws(CNIError) {
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--json" {
        printsJSON = true
      } else if argument == "--data-dir", let path = rest.popFirst(),
        path.utf8.first == UInt8(ascii: "/")
      {
        dataDirectory = path
      } else if argument.utf8.first == UInt8(ascii: "-") {
        throw UsageError.error("there is no option \(argument), or its value is missing")
      } else {
        words.append(argument)
      }
    }
  }
}

private func parse(network: String) throws(CNIError) -> NetworkName {
  guard let name = NetworkName(network) else {
    throw CNIError(.invalidEnvironment, "\"\(network)\" is not a network's name")
  }
  return name
}
