import CNI
import Netlink
import Node

/// The link stage: a bridge on the node and a veth pair for each attachment; with an `ipam` section
/// addresses and routes too, as the reference `bridge` has them.
struct BridgePlugin: Plugin {
  static var name: String { "humanz-bridge" }

  static var summary: String {
    "makes a bridge on the node and a veth pair for each attachment"
  }

  let invocation: Invocation

  init(_ invocation: Invocation) { self.invocation = invocation }

  private var network: NetworkName { invocation.configuration.name }

  func unknownKeys() throws(CNIError) -> [UnknownKey] {
    let keys = invocation.configuration.keys
    var unknown = try keys.refuseMisspelled([.ofEveryPlugin, StageKeys.bridge])
    for range in (try? keys.list("vlanTrunk")) ?? [] {
      unknown += try range.refuseMisspelled([StageKeys.vlanTrunk])
    }
    return unknown
  }

  // MARK: - ADD

  func add(
    _ attachment: Attachment, namespace: String, print: (CNIResult) throws(CNIError) -> Void
  ) throws(CNIError) {
    let configuration = try BridgeConfiguration(invocation)
    let ipam = try IPAMDelegate(invocation)
    let prevResult = try invocation.configuration.prevResult()
    let node = try Node()
    let pod = try Pod(path: namespace)
    try pod.refuse(existing: attachment.interface)
    try node.refuse(existing: HostInterface(of: attachment, on: network))
    let addressing = (try ipam?.add(for: attachment)).map {
      Addressing($0, configuration.addressing)
    }
    var undo = Undo()
    do throws(CNIError) {
      let links = try makeLinks(
        for: attachment, configuration, addressing, node, pod, undo: &undo)
      if let addressing {
        try addressing.apply(to: links, of: pod, node)
      } else if !configuration.disableContainerInterface {
        try pod.bringUp(attachment.interface)
      }
      try print(result(prevResult, configuration, links, addressing, sandbox: namespace))
    } catch {
      undo.run(node: node.kernel, pod: pod.kernel)
      try? ipam?.del()
      throw error
    }
  }

  /// The bridge with all that its pods share, then the pair. The lock keeps others from removing what
  /// the attachment relies on before the attachment counts as its user.
  private func makeLinks(
    for attachment: Attachment, _ configuration: BridgeConfiguration, _ addressing: Addressing?,
    _ node: borrowing Node, _ pod: borrowing Pod, undo: inout Undo
  ) throws(CNIError) -> AttachmentLinks {
    let lock = try NodeLock(.shared)
    let bridge = try node.adoptOrMakeBridge(configuration, undo: &undo)
    if let addressing, configuration.addressing.isGateway {
      let link = try node.gatewayLink(of: bridge, configuration, network, undo: &undo)
      try addressing.makeGateway(on: link, of: bridge, network, node, undo: &undo)
    }
    if let addressing, configuration.addressing.ipMasq {
      try node.masquerade(addressing.subnets, of: network, undo: &undo)
    }
    let links = try node.makePair(
      for: attachment, on: network, bridge: bridge, configuration, pod: pod, undo: &undo)
    if configuration.macspoofchk { try links.installSourceCheck(undo: &undo) }
    lock.unlock()
    return links
  }

  private func result(
    _ prevResult: CNIResult?, _ configuration: BridgeConfiguration, _ links: AttachmentLinks,
    _ addressing: Addressing?, sandbox: String
  ) -> CNIResult {
    var result = prevResult ?? CNIResult()
    let index = result.append(links, sandbox: sandbox, version: invocation.configuration.version)
    addressing?.describe(in: &result, interface: index)
    result.dns = configuration.dns ?? result.dns
    return result
  }

  // MARK: - DEL and GC

  func del(_ attachment: Attachment, namespace: String?) throws(CNIError) {
    let references = BridgeReferences(invocation)
    let node = try Node()
    var errors: [CNIError] = []
    do throws(CNIError) {
      let traces = AttachmentTraces(
        of: attachment, on: network, invocation.configuration.readablePrevResult,
        sandbox: namespace, mac: references.mac)
      try node.remove(traces, references)
      if references.ipMasq { try node.endMasquerade(ofUnused: network) }
    } catch {
      errors.append(error)
    }
    // The addresses are freed whatever has become of the links.
    do throws(CNIError) { try references.ipam?.del() } catch { errors.append(error) }
    if let error = CNIError.combined(errors) { throw error }
  }

  func gc(keeping valid: [Attachment]) throws(CNIError) {
    let references = BridgeReferences(invocation)
    let node = try Node()
    var errors: [CNIError] = []
    do throws(CNIError) { try node.removeAll(of: network, keeping: valid, references) } catch {
      errors.append(error)
    }
    do throws(CNIError) { try node.endMasquerade(ofUnused: network) } catch {
      errors.append(error)
    }
    do throws(CNIError) { try references.ipam?.gc() } catch { errors.append(error) }
    if let error = CNIError.combined(errors) { throw error }
  }

  // MARK: - CHECK and STATUS

  func check(_ attachment: Attachment, namespace: String) throws(CNIError) {
    let configuration = try BridgeConfiguration(invocation)
    let ipam = try IPAMDelegate(invocation)
    let result = try invocation.configuration.prevResult()
    let node = try Node()
    let pod = try Pod(path: namespace)
    let bridge = try node.checkBridge(configuration)
    let interface = try pod.checkInterface(attachment, result, configuration)
    let host = HostInterface(of: attachment, on: network)
    let port = try node.checkPort(host, of: bridge, peer: interface)
    try node.checkSettings(of: port, configuration)
    if configuration.macspoofchk { try interface.verifySourceCheck(of: host) }
    guard let ipam, let result else { return }
    try pod.checkAddresses(of: interface, in: result)
    try pod.checkRoutes(result.routes)
    let ips = result.ips(of: attachment.interface, sandbox: namespace)
    try node.checkShared(bridge, configuration, ips, network)
    try ipam.check()
  }

  func status() throws(CNIError) {
    try Node().checkBridgeCanServe(try BridgeConfiguration(invocation))
    try IPAMDelegate(invocation)?.status()
  }
}
