import CNI
import Netlink
import Stage

/// The link stage: a bridge on the node and a veth pair for each attachment; with an `ipam` section
/// addresses and routes too, as the reference `bridge` has them.
struct BridgePlugin: Plugin {
  static var name: String { "humanz-bridge" }

  let invocation: Invocation
  let configuration: BridgeConfiguration
  let ipam: IPAMDelegate?

  init(_ invocation: Invocation) throws(CNIError) {
    self.invocation = invocation
    configuration = try BridgeConfiguration(invocation.configuration)
    ipam = try IPAMDelegate(invocation)
  }

  private var network: NetworkName { invocation.configuration.name }

  func add(_ attachment: Attachment, namespace: String) throws(CNIError) -> CNIResult {
    let node = try Node()
    let pod = try Pod(path: namespace)
    try pod.refuse(existing: attachment.interface)
    let allocation = try ipam?.add()
    var undo = Undo()
    do throws(CNIError) {
      let bridge = try node.adoptOrMakeBridge(configuration, undo: &undo)
      let pair = try node.makePair(
        for: attachment, on: network, bridge: bridge, configuration, pod: pod, undo: &undo)
      var result = invocation.configuration.prevResult ?? CNIResult()
      let index = result.append(
        bridge: bridge, pair: pair, sandbox: namespace, version: invocation.configuration.version)
      if let allocation {
        let addresses = try Addressing(allocation, configuration, interface: index)
        try addresses.apply(to: pair.pod, of: pod, bridge: bridge, on: node, undo: &undo)
        addresses.describe(in: &result)
      }
      if let dns = configuration.dns { result.dns = dns }
      return result
    } catch {
      undo.run(node: node.socket, pod: pod.socket)
      try? ipam?.del()
      throw error
    }
  }

  func del(_ attachment: Attachment, namespace: String?) throws(CNIError) {
    try Node().remove(HostInterface(of: attachment, on: network))
    try ipam?.del()
  }

  func check(_ attachment: Attachment, namespace: String) throws(CNIError) {
    let node = try Node()
    let pod = try Pod(path: namespace)
    let bridge = try node.checkBridge(configuration)
    let interface = try pod.checkInterface(attachment, invocation.configuration.prevResult)
    try node.checkPort(HostInterface(of: attachment, on: network), of: bridge, peer: interface)
    guard let ipam, let result = invocation.configuration.prevResult else { return }
    try pod.checkAddresses(of: interface, in: result)
    try node.checkGateways(on: bridge, configuration, result)
    try ipam.check()
  }

  func gc(keeping valid: [Attachment]) throws(CNIError) {
    var errors: [CNIError] = []
    do throws(CNIError) { try Node().removePorts(of: network, keeping: valid) } catch {
      errors.append(error)
    }
    do throws(CNIError) { try ipam?.gc() } catch { errors.append(error) }
    if let error = CNIError.combined(errors) { throw error }
  }

  func status() throws(CNIError) {
    try Node().checkBridgeCanServe(configuration)
    try ipam?.status()
  }
}
