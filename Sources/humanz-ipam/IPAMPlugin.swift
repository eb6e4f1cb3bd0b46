// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Netlink
import Node
import Stages
import System

/// The address stage: chooses addresses and keeps them as leases. A delegate prints them; a stage of the
/// chain also sets them on the pod's interface, and the gateways' on the bridge.
struct IPAMPlugin: Plugin {
  static var name: String { "humanz-ipam" }

  static var summary: String { "leases addresses, and puts them on the pod's interface" }

  let invocation: Invocation

  init(_ invocation: Invocation) { self.invocation = invocation }

  private var network: NetworkName { invocation.configuration.name }

  /// A delegate knows only the keys of the `ipam` section: the others are its caller's.
  func unknownKeys() throws(CNIError) -> [UnknownKey] {
    let keys = invocation.configuration.keys
    var unknown: [UnknownKey] = []
    if let section = try? keys.keys("ipam") { unknown += try unknownKeys(of: section) }
    if invocation.configuration.type == IPAMPlugin.name { unknown += try unknownKeys(of: keys) }
    return unknown
  }

  private func unknownKeys(of keys: Keys) throws(CNIError) -> [UnknownKey] {
    var unknown = try keys.refuseMisspelled([.ofEveryPlugin, StageKeys.ipam])
    for range in keys.readableRanges {
      unknown += try range.refuseMisspelled([StageKeys.range])
    }
    for route in (try? keys.list("routes")) ?? [] {
      unknown += try route.refuseMisspelled([StageKeys.podRoute])
    }
    return unknown
  }

  // MARK: - ADD

  func add(
    _ attachment: Attachment, namespace: String, print: (CNIResult) throws(CNIError) -> Void
  ) throws(CNIError) {
    let configuration = try IPAMConfiguration(invocation)
    if configuration.isStage {
      try addAsStage(attachment, namespace, configuration, print)
    } else {
      try addAsDelegate(attachment, namespace, configuration, print)
    }
  }

  private func addAsDelegate(
    _ attachment: Attachment, _ namespace: String, _ configuration: IPAMConfiguration,
    _ print: (CNIResult) throws(CNIError) -> Void
  ) throws(CNIError) {
    var result = CNIResult()
    result.routes = try configuration.routes()
    result.dns = try configuration.dns()
    let store = Store(network, configuration)
    result.ips = try store.lease(
      allocation(for: attachment, namespace, configuration, hostInterface: hostInterfaceOfCaller))
    do throws(CNIError) { try print(result) } catch {
      try? store.release(attachment)
      throw error
    }
  }

  private func addAsStage(
    _ attachment: Attachment, _ namespace: String, _ configuration: IPAMConfiguration,
    _ print: (CNIResult) throws(CNIError) -> Void
  ) throws(CNIError) {
    guard var result = try invocation.configuration.prevResult() else { throw needsPrevResult }
    let node = try Node()
    let pod = try Pod(path: namespace)
    let earlier = try EarlierStage(result, attachment, pod: pod, node: node)
    result.routes += try configuration.routes()
    result.dns = try configuration.dns() ?? result.dns
    let store = Store(network, configuration)
    var allocation = try allocation(
      for: attachment, namespace, configuration, hostInterface: earlier.port?.name)
    var undo = Undo(pod: namespace)
    do throws(CNIError) {
      let place =
        configuration.isGateway
        ? try earlier.makeGatewayLink(for: network, on: node, undo: &undo) : nil
      allocation.bridge = place?.link.name
      let ips = try store.lease(allocation)
      undo.push(.call { _, _ in try? store.release(attachment) })
      undo.push(.pod(pod.requestsToRemove(ips, from: earlier.interface)))
      try pod.configure(earlier.interface, addresses: ips)
      pod.announce(ips, on: earlier.interface, port: earlier.port?.name, of: node)
      result.append(ips, interface: earlier.index)
      if let place {
        try node.setGateways(
          Gateway.all(of: ips), on: place, force: configuration.forceAddress
        ) { requests in
          // Another ADD may have leased an address since, and rely on the gateway.
          undo.push(
            .call { node, _ in
              store.ifHoldsAll(attachment) { _ = try? node.failures(performing: requests) }
            })
        }
        result.list(place, version: invocation.configuration.version)
      }
      try print(result)
    } catch {
      undo.run(node: node.kernel, pod: pod.kernel)
      throw error
    }
  }

  private func allocation(
    for attachment: Attachment, _ namespace: String, _ configuration: IPAMConfiguration,
    hostInterface: InterfaceName?
  ) throws(CNIError) -> Allocation {
    var allocation = Allocation(
      attachment, namespace: namespace, hostInterface: hostInterface,
      pools: try configuration.pools(), requested: try configuration.requestedAddresses())
    allocation.pod = invocation.pod
    return allocation
  }

  /// The node's end of the pair that the delegating plugin is about to make; nil if the plugin does not pass
  /// its name.
  private var hostInterfaceOfCaller: InterfaceName? {
    environmentVariable(IPAMDelegate.hostInterfaceVariable).flatMap { InterfaceName($0) }
  }

  // MARK: - DEL and GC

  func del(_ attachment: Attachment, namespace: String?) throws(CNIError) {
    let location = try StoreLocation(invocation)
    let store = Store(network, location)
    guard location.isStage, let pod = try Pod.ifPresent(namespace),
      let interface = try pod.kernel.link(attachment.interface)
    else { return try store.release(attachment) }
    // An address that stays on the pod stays leased.
    var failure: CNIError?
    do throws(CNIError) {
      try store.release(attachment) { (addresses) throws(SystemError) in
        do throws(CNIError) { try pod.remove(addresses, from: interface) } catch {
          failure = error
          throw SystemError("remove addresses", .busy)
        }
      }
    } catch { throw failure ?? error }
  }

  func gc(keeping valid: [Attachment]) throws(CNIError) {
    try Store(network, StoreLocation(invocation)).collect(keeping: valid)
  }

  // MARK: - CHECK and STATUS

  func check(_ attachment: Attachment, namespace: String) throws(CNIError) {
    let configuration = try IPAMConfiguration(invocation)
    let result = try invocation.configuration.prevResult()
    let pools = try configuration.pools()
    try Store(network, configuration).check(
      attachment, in: result, pools, namespace: namespace)
    guard configuration.isStage else { return }
    guard let result else { throw needsPrevResult }
    let node = try Node()
    let pod = try Pod(path: namespace)
    let earlier = try EarlierStage(result, attachment, pod: pod, node: node)
    try pod.checkAddresses(of: earlier.interface, in: result)
    if configuration.isGateway, let place = try earlier.gatewayLink(on: node) {
      let ips = result.ips.filter { pools.range(of: $0.address.address) != nil }
      try node.check(Gateway.all(of: ips), on: place)
    }
  }

  /// - Throws: error 50 if the next ADD could not lease an address or set its gateway on the bridge;
  ///   7 for a key.
  func status() throws(CNIError) {
    let configuration = try IPAMConfiguration(invocation)
    do throws(CNIError) {
      _ = try (configuration.routes(), configuration.dns(), configuration.requestedAddresses())
      let pools = try configuration.pools()
      let summary = try Store(network, configuration).checkFree(pools)
      if configuration.isStage, configuration.isGateway, let bridge = summary?.bridge {
        try checkGateways(pools, on: bridge, configuration)
      }
    } catch {
      guard error.code != .invalidConfiguration else { throw error }
      throw CNIError(.notAvailable, error.message, details: error.details)
    }
  }

  private func checkGateways(
    _ pools: Pools, on bridge: InterfaceName, _ configuration: IPAMConfiguration
  ) throws(CNIError) {
    do throws(CNIError) {
      try Node().checkThatGatewaysFit(
        pools.gatewayPrefixes.map { Gateway($0) }, on: bridge, force: configuration.forceAddress)
    } catch {
      throw CNIError(.notAvailable, error.message, details: error.details)
    }
  }

  private var needsPrevResult: CNIError {
    CNIError(
      .invalidConfiguration, "humanz-ipam as a stage of a chain needs \"prevResult\"",
      details:
        "put humanz-ipam into a conflist after the plugin that makes the interface, or name it as "
        + "\"ipam.type\" of that plugin")
  }
}

extension CNIResult {
  /// Appends addresses of the interface with this index.
  fileprivate mutating func append(_ ips: [ResultIP], interface: Int?) {
    self.ips += ips.map { ip in
      var ip = ip
      ip.interface = interface
      return ip
    }
  }
}

extension Pod {
  /// The requests that remove addresses from an interface.
  fileprivate borrowing func requestsToRemove(_ ips: [ResultIP], from interface: Link) -> [Request]
  {
    ips.map { .deleteAddress(InterfaceAddress(prefix: $0.address, index: interface.index)) }
  }

  /// Removes addresses from an interface; missing ones are not an error. Equivalent to:
  /// `ip address delete …`.
  fileprivate borrowing func remove(
    _ addresses: [IPAddress], from interface: Link
  ) throws(CNIError) {
    let present = try kernel.addresses(of: interface.index)
    try kernel.performIfPresent(
      present.filter { addresses.contains($0.prefix.address) }.map { .deleteAddress($0) })
  }
}
