import CNI
import Netlink

/// The pod's side of an attachment: its network namespace, with a netlink socket inside.
public struct Pod: ~Copyable {
  /// CNI_NETNS as the runtime gave it: the `sandbox` of a result.
  public let path: String
  public let namespace: NetworkNamespace
  public let socket: RouteSocket

  /// Opens the namespace and refuses the plugin's own, in which every step would change the node,
  /// unless CNI_NETNS_OVERRIDE is `1` or `true` (as in the Go library).
  /// - Throws: error 3 where there is no namespace at the path, 4 for the plugin's own.
  public init(path: String) throws(CNIError) {
    let namespace = try Pod.open(path)
    let override = environmentVariable("CNI_NETNS_OVERRIDE")
    guard !namespace.isCallers || override == "1" || override == "true" else {
      throw CNIError(
        .invalidEnvironment, "CNI_NETNS \(path) is the plugin's own network namespace",
        details: "set CNI_NETNS_OVERRIDE=1 if that is meant")
    }
    let socket = try Pod.openSocket(in: namespace)
    self.path = path
    self.namespace = namespace
    self.socket = socket
  }

  private static func open(_ path: String) throws(CNIError) -> NetworkNamespace {
    do { return try NetworkNamespace(path: path) } catch {
      throw CNIError(.unknownContainer, "CNI_NETNS: \(error.description)")
    }
  }

  private static func openSocket(
    in namespace: borrowing NetworkNamespace
  ) throws(CNIError) -> RouteSocket {
    do { return try namespace.openRouteSocket() } catch { throw CNIError(error) }
  }

  /// The pod's interface.
  /// - Throws: error 3 where it is missing.
  @inline(never)
  public borrowing func interface(_ name: InterfaceName) throws(CNIError) -> Link {
    let link: Link?
    do { link = try socket.link(named: name) } catch { throw CNIError(error) }
    guard let link else {
      throw CNIError(.unknownContainer, "there is no interface \(name) in the namespace \(path)")
    }
    return link
  }

  /// Refuses an ADD whose interface is already there (specification section 2, "ADD").
  /// - Throws: error 101.
  @inline(never)
  public borrowing func refuse(existing name: InterfaceName) throws(CNIError) {
    let link: Link?
    do { link = try socket.link(named: name) } catch { throw CNIError(error) }
    guard link == nil else {
      throw CNIError(
        .exists, "CNI_IFNAME: the interface \(name) already exists in the namespace \(path)")
    }
  }

  /// Brings an interface of the pod up. Equivalent to: `ip link set NAME up`.
  @inline(never)
  public borrowing func bringUp(_ name: InterfaceName) throws(CNIError) {
    try perform([.changeLink(.name(name), LinkChange(up: true))])
  }

  /// Sends requests in one batch.
  @inline(never)
  public borrowing func perform(_ requests: [Request]) throws(CNIError) {
    do { try socket.perform(requests) } catch { throw CNIError(error) }
  }

  /// Opens the namespace for a DEL, to which one that is gone is no error: nil.
  public static func ifThere(_ path: String?) -> Pod? {
    guard let path else { return nil }
    return try? Pod(path: path)
  }
}
