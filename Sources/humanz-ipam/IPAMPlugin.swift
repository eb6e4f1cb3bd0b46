import CNI
import Netlink
import Stage

/// The address stage: chooses addresses and keeps them as leases. As a delegate it prints them; as a
/// stage of the chain it also puts them on the pod's interface, and the gateway's on the bridge.
struct IPAMPlugin: Plugin {
  static var name: String { "humanz-ipam" }

  let invocation: Invocation
  let configuration: IPAMConfiguration

  init(_ invocation: Invocation) throws(CNIError) {
    self.invocation = invocation
    configuration = try IPAMConfiguration(invocation)
  }

  var network: NetworkName { invocation.configuration.name }

  func add(_ attachment: Attachment, namespace: String) throws(CNIError) -> CNIResult {
    guard configuration.isStage else {
      return try allocate(
        for: attachment, namespace: namespace, hostInterface: delegatorsInterface(attachment))
    }
    guard let result = invocation.configuration.prevResult else { throw needsPrevResult }
    let node = try Node()
    let pod = try Pod(path: namespace)
    let earlier = try EarlierStage(result, attachment, pod: pod, node: node)
    let allocation = try allocate(
      for: attachment, namespace: namespace, hostInterface: earlier.port?.name)
    var reverse: [Request] = []
    do throws(CNIError) {
      try pod.configure(earlier.interface, addresses: allocation.ips)
      pod.announce(allocation.ips, on: earlier.interface, port: earlier.port?.name, of: node)
      if try configuration.isGateway, let bridge = earlier.bridge {
        try node.setGateways(Gateway.all(of: allocation.ips), on: bridge) { reverse = $0 }
      }
    } catch {
      _ = try? node.socket.failures(performing: reverse)
      pod.remove(allocation.ips.map { $0.address.address }, from: earlier.interface)
      try? release(attachment)
      throw error
    }
    return result.adding(allocation, to: earlier.index)
  }

  func del(_ attachment: Attachment, namespace: String?) throws(CNIError) {
    guard configuration.isStage, let pod = Pod.ifThere(namespace),
      let interface = try? pod.interface(attachment.interface)
    else { return try release(attachment) }
    try release(attachment) { pod.remove($0, from: interface) }
  }

  func check(_ attachment: Attachment, namespace: String) throws(CNIError) {
    let result = invocation.configuration.prevResult
    try checkLeases(of: attachment, result)
    guard configuration.isStage else { return }
    guard let result else { throw needsPrevResult }
    let node = try Node()
    let pod = try Pod(path: namespace)
    let earlier = try EarlierStage(result, attachment, pod: pod, node: node)
    try pod.checkAddresses(of: earlier.interface, in: result)
    if try configuration.isGateway, let bridge = earlier.bridge {
      let pools = try configuration.pools
      let ips = result.ips.filter { pools.range(of: $0.address.address) != nil }
      try node.check(Gateway.all(of: ips), on: bridge)
    }
  }

  func gc(keeping valid: [Attachment]) throws(CNIError) {
    var errors: [StoreError] = []
    try changeStore { (store) throws(StoreError) in errors = store.collect(keeping: valid) }
    if let error = CNIError.combined(errors.map { CNIError($0) }) { throw error }
  }

  private var needsPrevResult: CNIError {
    CNIError(
      .invalidConfiguration, "humanz-ipam as a stage of a chain needs \"prevResult\"",
      details:
        "put it into a conflist after the plugin that makes the interface, or name it in that "
        + "plugin's \"ipam\" as \"type\"")
  }

  /// The node's end of the pair that our own bridge is about to make; that of another plugin which
  /// delegates to us is not known.
  private func delegatorsInterface(_ attachment: Attachment) -> InterfaceName? {
    guard invocation.configuration.type == "humanz-bridge" else { return nil }
    return HostInterface(of: attachment, on: network).name
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
  /// Takes addresses off an interface, those that are there. Equivalent to: `ip address delete …`.
  fileprivate borrowing func remove(_ addresses: [IPAddress], from interface: Link) {
    let present = (try? socket.addresses(index: interface.index)) ?? []
    for address in present where addresses.contains(address.prefix.address) {
      try? socket.perform(.deleteAddress(address))
    }
  }
}
