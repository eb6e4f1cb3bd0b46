// SPDX-License-Identifier: Apache-2.0
import CNI
import Netlink
import Node
import Stages

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
    let pair = AttachmentPair(attachment, network, configuration)
    try pod.lock()
    try pod.refuse(existing: attachment.interface)
    try pair.refuseExisting(on: node)
    var undo = Undo(pod: namespace)
    let addressing = (try ipam?.add(for: attachment, undo: &undo)).map {
      Addressing($0, configuration.addressing)
    }
    do throws(CNIError) {
      let links = try makeLinks(pair, configuration, addressing, node, pod, undo: &undo)
      try bringUp(links, configuration, addressing, node, pod)
      try print(result(prevResult, configuration, links, addressing, sandbox: namespace))
    } catch {
      undo.run(node: node.kernel, pod: pod.kernel)
      throw error
    }
  }

  /// Makes the bridge with everything that its pods share, then the pair. Until the attachment counts as a
  /// user of these, the lock keeps others from removing them.
  private func makeLinks(
    _ pair: AttachmentPair, _ configuration: BridgeConfiguration, _ addressing: Addressing?,
    _ node: borrowing Node, _ pod: borrowing Pod, undo: inout Undo
  ) throws(CNIError) -> AttachmentLinks {
    let lock = try NodeLock(.shared)
    var bridge = try Bridge.adoptOrMake(configuration, on: node, undo: &undo)
    let gateway = try addressing?.makeGateway(
      on: bridge.link, vlan: configuration.port.vlans?.access, for: network, node, undo: &undo)
    if let addressing, configuration.addressing.ipMasq {
      try NetworkMasquerade(network, addressing.subnets).install(undo: &undo)
    }
    let podEnd = try pair.make(on: bridge, in: pod, node, undo: &undo)
    try bridge.updateMAC(keepsMAC: gateway != nil, on: node)
    if configuration.macspoofchk {
      try MACCheck(of: podEnd, behind: pair.host)?.install(undo: &undo)
    }
    lock.unlock()
    return AttachmentLinks(bridge: bridge, host: pair.host, podEnd: podEnd, gateway: gateway)
  }

  private func bringUp(
    _ links: AttachmentLinks, _ configuration: BridgeConfiguration, _ addressing: Addressing?,
    _ node: borrowing Node, _ pod: borrowing Pod
  ) throws(CNIError) {
    if let addressing {
      try addressing.apply(to: links, of: pod, node)
    } else if !configuration.disableContainerInterface {
      try pod.bringUp(links.podEnd.name)
    }
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
    let keys = BridgeDeletionKeys(invocation)
    let node = try Node()
    var traces = AttachmentTraces(
      of: attachment, on: network, invocation.configuration.readablePrevResult,
      sandbox: namespace, mac: keys.mac)
    var errors = CollectedErrors()
    let neighbours = errors.collect { () throws(CNIError) in
      try BridgeNeighbours.all(on: keys.links, of: node)
    }
    traces.findLeased(keys.leases, among: neighbours ?? [])
    var own: Link?
    var nodeEnd: Link?
    errors.collect { () throws(CNIError) in
      own = try node.port(traces.host)
      nodeEnd = own
      if own == nil {
        nodeEnd = try AttachmentPair.found(
          by: attachment, traces.host, namespace: namespace, bridge: keys.bridge, on: node)
      }
    }
    let deletion = AttachmentPair.startDeletion(
      of: nodeEnd, in: node.kernel, waits: keys.waitForDelete)
    // The delegate runs while the kernel deletes the links, or after that with `waitForDelete`; it runs even if
    // the deletion fails.
    errors.collect { () throws(CNIError) in try keys.ipam?.del() }
    errors.collect { () throws(CNIError) in
      try deletion.wait(node.kernel)
      try node.forget([traces], among: neighbours ?? [])
      try MACCheck.remove(of: traces.host, isAsked: keys.macspoofchk, on: node)
      if keys.ipMasq { try NetworkMasquerade.removeUnused(network, on: node.kernel) }
      if keys.ipMasq, own == nil {
        try NetworkMasquerade.removeRulesOfReference(attachment, network)
      }
    }
    try errors.throwAny()
  }

  /// Queries and changes links before it deletes any: the kernel holds the RTNL lock until the end of a
  /// deletion, which takes a tenth of a second with many pods.
  func gc(keeping valid: [Attachment]) throws(CNIError) {
    let keys = BridgeDeletionKeys(invocation)
    let node = try Node()
    var errors = CollectedErrors()
    let stale =
      errors.collect { () throws(CNIError) in
        try StaleAttachments(of: network, keeping: valid, keys, on: node)
      } ?? StaleAttachments()
    errors.collect { () throws(CNIError) in try node.forget(stale.neighbours) }
    errors.collect { () throws(CNIError) in
      if !stale.networkHasOthers {
        try NetworkMasquerade.removeIfUnused(network, besides: stale.links, on: node.kernel)
      }
    }
    let deletion = stale.startDeletion(in: node.kernel, waits: keys.waitForDelete)
    errors.collect { () throws(CNIError) in try keys.ipam?.gc() }
    errors.collect { () throws(CNIError) in
      try deletion.wait(node.kernel)
      try stale.forgetConnections()
    }
    errors.collect { () throws(CNIError) in try MACCheck.removeOrphans(on: node) }
    try errors.throwAny()
  }

  // MARK: - CHECK and STATUS

  func check(_ attachment: Attachment, namespace: String) throws(CNIError) {
    let configuration = try BridgeConfiguration(invocation)
    let ipam = try IPAMDelegate(invocation)
    let result = try invocation.configuration.prevResult()
    let node = try Node()
    let pod = try Pod(path: namespace)
    let pair = AttachmentPair(attachment, network, configuration)
    let bridge = try Bridge.verify(configuration, on: node)
    let podEnd = try pair.verifyPodEnd(in: pod, result)
    try pair.verifyNodeEnd(of: podEnd, on: bridge, node)
    if configuration.macspoofchk { try MACCheck(of: podEnd, behind: pair.host)?.verify() }
    guard let ipam, let result else { return }
    try pod.checkAddresses(of: podEnd, in: result)
    try pod.checkRoutes(result.routes)
    let ips = result.ips(of: attachment.interface, sandbox: namespace)
    if configuration.addressing.isGateway {
      try Addressing.verifyGateway(
        of: ips, on: bridge.link, vlan: configuration.port.vlans?.access, node)
    }
    if configuration.addressing.ipMasq {
      try NetworkMasquerade(network, Addressing.subnets(of: ips)).verify()
    }
    try ipam.check()
  }

  func status() throws(CNIError) {
    try Bridge.checkAvailability(try BridgeConfiguration(invocation), on: Node())
    try IPAMDelegate(invocation)?.status()
  }
}
