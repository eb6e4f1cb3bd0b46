import Addresses
import CNI
import Netlink

/// What the stages before this one made, found by prevResult and, where that does not say (before
/// 0.3.0 a result has no interfaces), by the kernel.
public struct EarlierStage {
  /// The pod's interface.
  public let interface: Link
  /// Its index in prevResult's `interfaces`; nil where it is not listed there.
  public let index: Int?
  /// The node's end of its pair; nil for an interface without a pair, or with its other end elsewhere.
  public let port: Link?
  /// The bridge its pair leads to; nil for an interface that is on none, as a macvlan's.
  public let bridge: Link?

  /// - Throws: error 3 where the pod has no interface of that name.
  public init(
    _ result: CNIResult, _ attachment: Attachment, pod: borrowing Pod, node: borrowing Node
  ) throws(CNIError) {
    interface = try pod.interface(attachment.interface)
    index = result.interface(attachment.interface, sandbox: pod.path)?.index
    port = try EarlierStage.port(of: interface, on: node)
    bridge = try EarlierStage.bridge(of: interface, port: port, result, on: node)
  }

  /// The node's link that is the interface's peer, as IFLA_LINK of both says.
  private static func port(
    of interface: Link, on node: borrowing Node
  ) throws(CNIError) -> Link? {
    guard interface.kind == "veth", let peer = interface.peerIndex,
      let port = try node.kernel.link(at: peer), port.peerIndex == interface.index
    else { return nil }
    return port
  }

  /// The master of the port, or else the first bridge that the result lists.
  private static func bridge(
    of interface: Link, port: Link?, _ result: CNIResult, on node: borrowing Node
  ) throws(CNIError) -> Link? {
    guard interface.kind == "veth" else { return nil }
    if let master = port?.master { return try node.kernel.link(at: master) }
    for entry in result.interfaces where entry.sandbox == nil {
      guard let name = InterfaceName(entry.name), let link = try node.kernel.link(name)
      else { continue }
      if link.kind == "bridge" { return link }
    }
    return nil
  }
}
