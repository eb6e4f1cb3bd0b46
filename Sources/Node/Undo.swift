import Addresses
import CNI
import Netfilter
import Netlink

/// The steps that take back what a failed ADD made, each registered beside the step that it reverses.
///
/// A step back cannot fail: an error is already being reported.
public struct Undo: ~Copyable {
  /// The reverse of one step of an ADD.
  public enum Step {
    /// Requests for the node.
    case node([Request])
    /// Requests for the pod.
    case pod([Request])
    /// Requests for the node, unless a port of the bridge belongs to the network: another ADD may have
    /// come to rely on it.
    case nodeUnlessUsed(NetworkName, bridge: LinkIndex, [Request])
    /// Deletes a bridge that has no port.
    case bridge(InterfaceName)
    /// Removes the masquerade of a network without attachments.
    case masquerade(NetworkName)
    /// Removes the check of a port's source MAC address.
    case sourceCheck(InterfaceName)
    /// Frees leases.
    case leases(() -> Void)
  }

  private var steps: [Step] = []

  public init() {}

  /// Registers the reverse of a step, before or right after the step is made.
  public mutating func push(_ step: Step) { steps.append(step) }

  /// Takes the steps back, the last one first.
  public consuming func run(node: borrowing Kernel, pod: borrowing Kernel) {
    for step in steps.reversed() { step.run(node, pod) }
  }
}

extension Undo.Step {
  fileprivate func run(_ node: borrowing Kernel, _ pod: borrowing Kernel) {
    switch self {
    case .node(let requests):
      _ = try? node.failures(performing: requests)
    case .pod(let requests):
      _ = try? pod.failures(performing: requests)
    case .nodeUnlessUsed(let network, let bridge, let requests):
      guard let lock = try? NodeLock(.exclusive) else { return }
      if (try? node.hasAttachments(to: network, bridge: bridge)) == false {
        _ = try? node.failures(performing: requests)
      }
      lock.unlock()
    case .bridge(let name):
      guard let lock = try? NodeLock(.exclusive) else { return }
      if let bridge = try? node.link(name), (try? node.links(master: bridge.index))?.isEmpty == true
      {
        try? node.perform([.deleteLink(.index(bridge.index))])
      }
      lock.unlock()
    case .masquerade(let network):
      guard let lock = try? NodeLock(.exclusive) else { return }
      if (try? node.hasAttachments(to: network)) == false {
        try? netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
          try Masquerade.remove(network: network.description, socket)
        }
      }
      lock.unlock()
    case .sourceCheck(let port):
      try? netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
        try SourceCheck.remove(port: port, socket)
      }
    case .leases(let free):
      free()
    }
  }
}
