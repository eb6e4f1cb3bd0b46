// SPDX-License-Identifier: Apache-2.0
import Addresses
import Embedded
import Netlink

@testable import CNI
@testable import Leases
@testable import Node
@testable import Routes
@testable import humanz_bridge
@testable import humanz_ipam
@testable import humanz_route

/// A configuration, and its keys as a stage reads them. The first byte chooses CNI_ARGS; `type` is the
/// stage, and any other is the caller of humanz-ipam.
func fuzzConfiguration(_ input: [UInt8]) throws(Violation) {
  guard let invocation = invocation(input) else { return }
  switch invocation.configuration.type {
  case "humanz-bridge": try fuzzBridge(invocation)
  case "humanz-route": try fuzzRoute(invocation)
  default: try fuzzIPAM(invocation)
  }
}

private func invocation(_ input: [UInt8]) -> Invocation? {
  guard let choice = input.first else { return nil }
  let arguments = [
    "", "IP=10.1.0.9", "MAC=02:00:00:00:00:01", "IP=fd00::9/64,10.1.0.9;MAC=x",
    "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;IP=",
  ]
  return try? Invocation(.del, input: Array(input.dropFirst())) { name in
    switch name {
    case "CNI_CONTAINERID": "container"
    case "CNI_IFNAME": "eth0"
    case "CNI_ARGS": arguments[Int(choice) % arguments.count]
    default: nil
    }
  }
}

/// The configuration of humanz-bridge, as ADD reads it and as DEL does.
private func fuzzBridge(_ invocation: Invocation) throws(Violation) {
  use(try? BridgePlugin(invocation).unknownKeys())
  let keys = BridgeDeletionKeys(invocation)
  try require(!keys.links.isEmpty, "no link")
  guard let configuration = try? BridgeConfiguration(invocation) else { return }
  try require(configuration.bridge == keys.bridge, "DEL reads another bridge")
  try require(configuration.mac == keys.mac, "DEL reads another MAC address")
  try require(configuration.mac?.isUsable != false, "a MAC address that no interface can have")
  try require(configuration.macspoofchk == keys.macspoofchk, "DEL reads another check")
  try require((1...4096).contains(configuration.queues), "\(configuration.queues) queues")
  guard let vlans = configuration.port.vlans else { return }
  try require(vlans.access != nil || !vlans.trunk.isEmpty, "VLANs without one")
  for (one, next) in zip(vlans.trunk, vlans.trunk.dropFirst()) {
    try require(one.upperBound + 1 < next.lowerBound, "\(one) and \(next) are not apart")
  }
  for range in vlans.trunk {
    try require(range.lowerBound >= 1 && range.upperBound <= 4094, "VLANs \(range)")
  }
  use(vlans.requests(port: LinkIndex(7)).map { $0.bytes.count })
}

/// The configuration of humanz-ipam, and its ranges.
private func fuzzIPAM(_ invocation: Invocation) throws(Violation) {
  use(try? IPAMPlugin(invocation).unknownKeys())
  let location = try? StoreLocation(invocation)
  guard let configuration = try? IPAMConfiguration(invocation) else { return }
  try require(
    configuration.dataDirectory == location?.dataDirectory, "DEL looks into another folder")
  try require(configuration.dataDirectory.utf8.first == UInt8(ascii: "/"), "a relative folder")
  use(try? configuration.routes())
  let requested = (try? configuration.requestedAddresses()) ?? []
  // What is in files is not of this input.
  let keys = invocation.configuration.keys
  let section = (try? keys.keys("ipam")) ?? keys
  if !section.has("resolvConf") { use(try? configuration.dns()) }
  guard !section.has("clusterFile"), let pools = try? configuration.pools() else { return }
  try check(pools, requested)
}

/// What holds for all ranges: also for those in the summary that a store keeps.
func check(_ pools: Pools, _ requested: [IPAddress]) throws(Violation) {
  for set in pools.sets {
    try require(set.total > 0, "\(set) gives no address")
    for range in set.ranges {
      try require(range.first <= range.last, "\(range) is empty")
      try require(
        range.subnet.contains(range.first) && range.subnet.contains(range.last),
        "\(range) leaves its subnet")
      if let gateway = range.gateway {
        try require(!set.canLease(gateway), "the gateway \(gateway) of \(range) can be leased")
      }
    }
    var given: [IPAddress?] = [nil]
    for range in set.ranges { given += [range.first, range.last] }
    for address in requested { given.append(address) }
    for last in given {
      let spans = set.rotated(after: last)
      let total = spans.reduce(UInt128(0)) { $0 &+ ($1.upper &- $1.lower) &+ 1 }
      try require(total == set.total, "\(total) addresses after \(String(describing: last))")
      for span in spans {
        try require(span.lower <= span.upper, "an empty span")
        let first = IPAddress(set.family, span.lower)
        try require(set.canLease(first) && set.range(of: first) != nil, "\(first) is not given")
        try require(pools.range(of: first) != nil, "\(first) is in no range")
      }
    }
  }
  for (one, other) in zip(pools.sets, pools.sets.dropFirst()) where one.family == other.family {
    for range in one.ranges { try require(!other.canLease(range.first), "\(range) is in two sets") }
  }
  let summary = StoreSummary(pools: pools, bridge: InterfaceName("cni0"))
  guard let again = StoreSummary(parsing: summary.text) else {
    throw Violation(description: "the summary cannot be read")
  }
  try require(
    again.pools.sets == pools.sets && again.bridge == summary.bridge,
    "the summary has other ranges")
}

/// The configuration of humanz-route.
private func fuzzRoute(_ invocation: Invocation) throws(Violation) {
  use(try? RoutePlugin(invocation).unknownKeys())
  guard let configuration = try? RouteConfiguration(invocation.configuration) else { return }
  let network = configuration.network
  try require(network.network.allSatisfy { $0.isNetwork }, "host bits in \(network.network)")
  try require(
    network.clusterFile.map { $0.utf8.first == UInt8(ascii: "/") } ?? true, "a relative path")
  for route in configuration.routes {
    try require(
      route.gateway == nil || route.gateway?.family == route.destination.family,
      "a gateway of another family")
  }
  guard network.clusterFile == nil, let peers = try? network.peers() else { return }
  for peer in peers.peers {
    try require(!peer.isRest && peer.via.count <= Peer.mostNextHops, "\(peer)")
    try require(
      network.network.isEmpty || network.network.contains { $0.contains(peer.subnet) },
      "\(peer) is outside of the network")
  }
  guard let overlay = network.overlay else { return }
  try require(overlay.mode != .never && overlay.id <= 0xff_ffff, "an overlay of \(overlay.id)")
  for peer in peers.peers {
    use(overlay.encapsulation(to: peer.via[0], dontFragment: true))
  }
  use(overlay.check(of: peers.peers, network: network.name))
}
