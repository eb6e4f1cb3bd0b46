// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink
import System

/// The steps that undo what a failed ADD made, each registered beside the step that it reverses.
///
/// The errors of these steps are ignored: another error is already being reported.
public struct Undo: ~Copyable {
  /// The reverse of one step of an ADD.
  public enum Step {
    /// Requests for the node.
    case node([Request])
    /// Requests for the pod.
    case pod([Request])
    /// Requests for the node, unless a port of the bridge belongs to the network: another ADD may rely by now
    /// on what they remove.
    case nodeUnlessUsed(NetworkName, bridge: LinkIndex, [Request])
    /// A step that a list of requests cannot express. A function, so that its code is only in the
    /// stage that uses it.
    case call((_ node: borrowing Kernel, _ pod: borrowing Kernel) -> Void)
  }

  private final class Steps {
    var list: [Step] = []

    func run(_ node: borrowing Kernel, _ pod: borrowing Kernel) {
      for step in list.reversed() { step.run(node, pod) }
    }
  }

  private let steps = Steps()

  /// No steps yet.
  /// - Parameter path: the path of the pod's namespace; with it the steps are also run after a trap.
  public init(pod path: String? = nil) {
    guard let path else { return }
    Trap.push { [steps] in
      guard let node = try? Node(), let pod = try? Pod(path: path) else { return }
      steps.run(node.kernel, pod.kernel)
    }
  }

  /// Registers the reverse of a step, before or right after the step is made.
  public mutating func push(_ step: Step) { steps.list.append(step) }

  /// Runs the steps, the last one first.
  public consuming func run(node: borrowing Kernel, pod: borrowing Kernel) {
    steps.run(node, pod)
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
    case .call(let function):
      function(node, pod)
    }
  }
}
