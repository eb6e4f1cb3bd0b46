import Addresses
import CNI
import Leases
import Netlink
import Node
import System

/// The address stage: chooses addresses and keeps them as leases. As a delegate it prints them; as a
/// stage of the chain it also puts them on the pod's interface, and the gateway's on the bridge.
struct IPAMPlugin: Plugin {
  static var name: String { "humanz-ipam" }

  static var summary: String { "leases addresses, and puts them on the pod's interface" }

  let invocation: Invocation

  init(_ invocation: Invocation) { self.invocation = invocation }

  var network: NetworkName { invocation.configuration.name }

  /// As a delegate it knows the `ipam` section's keys alone: the others are its caller's.
  func unknownKeys() throws(CNIError) -> [UnknownKey] {
    let keys = invocation.configuration.keys
    var unknown: [UnknownKey] = []
    if let section = try? keys.keys("ipam") {
      unknown += try section.refuseMisspelled([.ofEveryPlugin, StageKeys.ipam])
    }
    if invocation.configuration.type == IPAMPlugin.name {
      unknown += try keys.refuseMisspelled([.ofEveryPlugin, StageKeys.ipam])
    }
    return unknown
  }

  // MARK: - ADD

  func add(_ attachment: Attachment, namespace: String) throws(CNIError) -> CNIResult {
    let configuration = try IPAMConfiguration(invocation)
    let store = Store(network, configuration)
    guard configuration.isStage else {
      return try store.allocate(
        try request(
          for: attachment, namespace, configuration, hostInterface: hostInterfaceOfCaller))
    }
    guard let result = try invocation.configuration.prevResult() else { throw needsPrevResult }
    let node = try Node()
    let pod = try Pod(path: namespace)
    let earlier = try EarlierStage(result, attachment, pod: pod, node: node)
    let allocation = try store.allocate(
      try request(for: attachment, namespace, configuration, hostInterface: earlier.port?.name))
    var undo = Undo()
    undo.push(.leases { try? store.release(attachment) })
    do throws(CNIError) {
      undo.push(.pod(pod.requestsToRemove(allocation.ips, from: earlier.interface)))
      try pod.configure(earlier.interface, addresses: allocation.ips)
      pod.announce(allocation.ips, on: earlier.interface, port: earlier.port?.name, of: node)
      if configuration.isGateway, let bridge = earlier.bridge {
        try node.setGateways(Gateway.all(of: allocation.ips), on: bridge) { undo.push(.node($0)) }
      }
    } catch {
      undo.run(node: node.kernel, pod: pod.kernel)
      throw error
    }
    return result.adding(allocation, to: earlier.index)
  }

  private func request(
    for attachment: Attachment, _ namespace: String, _ configuration: IPAMConfiguration,
    hostInterface: InterfaceName?
  ) throws(CNIError) -> AddressRequest {
    AddressRequest(
      allocation: Allocation(
        attachment, namespace: namespace, hostInterface: hostInterface,
        pools: try configuration.pools(), requested: try configuration.requestedAddresses()),
      routes: try configuration.routes(), dns: try configuration.dns())
  }

  /// The node's end of the pair that a delegating plugin says it is about to make; nil for a plugin that
  /// does not say.
  private var hostInterfaceOfCaller: InterfaceName? {
    environmentVariable(IPAMDelegate.hostInterfaceVariable).flatMap { InterfaceName($0) }
  }

  // MARK: - DEL and GC

  func del(_ attachment: Attachment, namespace: String?) throws(CNIError) {
    let references = try StoreReferences(invocation)
    let store = Store(network, references)
    guard references.isStage, let pod = Pod.ifPresent(namespace),
      let interface = try? pod.interface(attachment.interface)
    else { return try store.release(attachment) }
    try store.release(attachment) { pod.remove($0, from: interface) }
  }

  func gc(keeping valid: [Attachment]) throws(CNIError) {
    try Store(network, StoreReferences(invocation)).collect(keeping: valid)
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
    if configuration.isGateway, let bridge = earlier.bridge {
      let ips = result.ips.filter { pools.range(of: $0.address.address) != nil }
      try node.check(Gateway.all(of: ips), on: bridge)
    }
  }

  /// - Throws: error 50 with how many addresses are used; 7 for a key.
  func status() throws(CNIError) {
    do throws(CNIError) {
      let configuration = try IPAMConfiguration(invocation)
      _ = try (configuration.routes(), configuration.dns(), configuration.requestedAddresses())
      try Store(network, configuration).checkFree(configuration.pools())
    } catch {
      guard error.code != .invalidConfiguration else { throw error }
      throw CNIError(.notAvailable, error.message, details: error.details)
    }
  }

  private var needsPrevResult: CNIError {
    CNIError(
      .invalidConfiguration, "humanz-ipam as a stage of a chain needs \"prevResult\"",
      details:
        "put it into a conflist after the plugin that makes the interface, or name it in that "
        + "plugin's \"ipam\" as \"type\"")
  }
}

extension CNIResult {
  /// The result with what was allocated in it, the addresses on the interface of an index.
  fileprivate func adding(_ allocation: CNIResult, to interface: Int?) -> CNIResult {
    var result = self
    result.ips += allocation.ips.map { ip in
      var ip = ip
      ip.interface = interface
      return ip
    }
    result.routes += allocation.routes
    result.dns = allocation.dns ?? result.dns
    return result
  }
}

extension Pod {
  /// The requests that take addresses off an interface.
  fileprivate borrowing func requestsToRemove(_ ips: [ResultIP], from interface: Link) -> [Request]
  {
    ips.map { .deleteAddress(InterfaceAddress(prefix: $0.address, index: interface.index)) }
  }

  /// Takes addresses off an interface, those that are there. Equivalent to: `ip address delete …`.
  fileprivate borrowing func remove(_ addresses: [IPAddress], from interface: Link) {
    let present = (try? kernel.addresses(of: interface.index)) ?? []
    let requests = present.filter { addresses.contains($0.prefix.address) }
      .map { Request.deleteAddress($0) }
    _ = try? kernel.failures(performing: requests)
  }
}
