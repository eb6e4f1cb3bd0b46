// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import System

/// `humanz leases`: the holder of each address, of one network or of all.
func showLeases(_ arguments: Arguments) throws(CNIError) -> Int32 {
  let network = try arguments.operands.first.map { (name) throws(CNIError) in
    try networkName(name)
  }
  let configured = try ConfiguredNetworks(file: arguments["--conflist"])
  for problem in configured.problems { Output.complain(problem) }
  let stores = try LeaseStores(folder: arguments.path("--data-dir"), configured)
  var reports: [LeaseReport] = []
  for place in stores.of(network) {
    do throws(SystemError) {
      if let report = try LeaseReport(place, configured.named(place.network)) {
        reports.append(report)
      }
    } catch {
      // Not a store: a file of another program beside the stores.
      if network != nil || error.errno != .notDirectory { throw CNIError(error) }
    }
  }
  if let network, reports.isEmpty {
    throw CNIError(.unknownContainer, "the network \"\(network)\" has no leases on this node")
  }
  let rows = reports.flatMap { $0.rows }
  let usage = reports.flatMap { $0.usage }
  if arguments.has("--json") {
    try Output.print(
      .object(
        JSONObject(
          ("leases", .array(rows.map { $0.json })), ("pools", .array(usage.map { $0.json })))))
    return 0
  }
  let wide = arguments.has("--wide")
  var leases = Table(LeaseReport.Row.header)
  for row in rows { leases.append(row.words(wide: wide)) }
  var pools = Table(["NETWORK", "POOL", "LEASES"])
  for pool in usage { pools.append(["\(pool.network)", "\(pool.set)", pool.description]) }
  try Output.print(
    leases.withoutEmpty("POD").lines(wide: wide)
      + (pools.isEmpty ? [] : [""] + pools.lines(wide: wide)))
  return 0
}

/// `humanz release`: frees an address, whichever attachment holds it.
func releaseAddress(_ arguments: Arguments) throws(CNIError) -> Int32 {
  let network = try networkName(arguments.operands[0])
  guard let address = IPAddress(arguments.operands[1]) else {
    throw .wrongUsage("\"\(arguments.operands[1])\" is not an IP address")
  }
  let configured = try ConfiguredNetworks(file: arguments["--conflist"])
  for problem in configured.problems { Output.complain(problem) }
  let stores = try LeaseStores(folder: arguments.path("--data-dir"), configured)
  for place in stores.of(network) {
    if let holder = try release(address, in: place) {
      try Output.print("\(address) was held by \(holder) and is free now")
      return 0
    }
  }
  throw CNIError(.unknownContainer, "\(address) is not leased on the network \(network)")
}

private func release(
  _ address: IPAddress, in place: StorePlace
) throws(CNIError) -> Holder? {
  do throws(SystemError) {
    // Looked up first, so that a store without the address is not written to.
    guard let reader = try LeaseReader(place.network, in: place.folder),
      try reader.leases.lease(of: address) != nil
    else { return nil }
    var store = try LeaseStore(place.network, in: place.folder, make: false)
    return try store?.release(address)
  } catch {
    throw CNIError(error)
  }
}

private func networkName(_ text: String) throws(CNIError) -> NetworkName {
  guard let name = NetworkName(text) else {
    throw .wrongUsage("NETWORK is \"\(text)\", expected \(NetworkName.expected)")
  }
  return name
}
