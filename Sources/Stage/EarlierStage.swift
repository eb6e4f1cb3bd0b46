import CNI
import Netlink

/// What the stages before this one made, found by prevResult and, where that is silent (before 0.3.0
/// a result has no interfaces), by the kernel.
public struct EarlierStage {
  /// The pod's interface.
  public let interface: Link
  /// Its index in prevResult's `interfaces`; nil where those do not list it.
  public let index: Int?
  /// The bridge its pair leads to; nil for an interface that is on none, as a macvlan's.
  public let bridge: Link?

  /// - Throws: error 3 where the pod has no interface of that name.
  public init(
    _ result: CNIResult, _ attachment: Attachment, pod: borrowing Pod, node: borrowing Node
  ) throws(CNIError) {
    interface = try pod.interface(attachment.interface)
    index = result.interface(attachment.interface, sandbox: pod.path)?.index
    bridge = try EarlierStage.bridge(of: interface, result, pod: pod, node: node)
  }

  /// The master of the node's link that is the interface's peer. Which of the node's links that is,
  /// the interface's IFLA_LINK says; the result is asked where that is not enough.
  private static func bridge(
    of interface: Link, _ result: CNIResult, pod: borrowing Pod, node: borrowing Node
  ) throws(CNIError) -> Link? {
    guard interface.kind == "veth", let peer = interface.peerIndex else { return nil }
    do throws(NetlinkError) {
      if let port = try node.socket.link(index: peer), port.peerIndex == interface.index,
        let master = port.master
      {
        return try node.socket.link(index: master)
      }
      for entry in result.interfaces where entry.sandbox == nil {
        guard let name = InterfaceName(entry.name), let link = try node.socket.link(named: name)
        else { continue }
        if link.kind == "bridge" { return link }
      }
    } catch {
      throw CNIError(error)
    }
    return nil
  }
}
