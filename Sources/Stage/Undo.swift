import Netlink

/// What takes back the steps of an ADD, registered where each step is made.
///
/// A step undone is given the node's socket and, where there is one, the pod's. It cannot fail: it is
/// already a failure that is being reported.
public struct Undo: ~Copyable {
  public typealias Step = (_ node: borrowing RouteSocket, _ pod: borrowing RouteSocket) -> Void

  private var steps: [Step] = []

  public init() {}

  /// Registers the reverse of a step that has just been made.
  public mutating func push(_ step: @escaping Step) { steps.append(step) }

  /// Takes the steps back, the last one first.
  public consuming func run(node: borrowing RouteSocket, pod: borrowing RouteSocket) {
    for step in steps.reversed() { step(node, pod) }
  }
}
