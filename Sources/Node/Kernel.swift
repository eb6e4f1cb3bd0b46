// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netlink
import System

extension CNIError {
  /// A request that the kernel refused becomes error 100.
  @inline(never)
  public init(_ error: NetlinkError) {
    self.init(
      .kernel, error.description,
      details: error.errno == .notPermitted
        ? "the plugin needs CAP_NET_ADMIN and CAP_SYS_ADMIN in the node's user namespace, and no seccomp filter "
          + "may block the request"
        : "")
  }
}

/// Runs steps with requests to the kernel. `CNIError.init(_: NetlinkError)` is the one conversion.
/// - Throws: error 100.
public func kernelSteps<Value>(
  _ body: () throws(NetlinkError) -> Value
) throws(CNIError) -> Value {
  do { return try body() } catch { throw CNIError(error) }
}

/// Runs steps on nf_tables or connection tracking of the calling thread's network namespace.
/// - Throws: error 100.
@inline(never)
public func netfilterSteps(
  _ body: (borrowing NetfilterSocket) throws(NetlinkError) -> Void
) throws(CNIError) {
  do { try body(NetfilterSocket()) } catch { throw CNIError(error) }
}

/// The links, addresses, routes and neighbours of one network namespace, over rtnetlink.
///
/// Every method throws error 100 with the kernel's message if the kernel refuses. See `RouteSocket` for the
/// messages and the `ip` commands that do the same.
public struct Kernel: ~Copyable {
  private let socket: RouteSocket

  /// Opens a socket of the calling thread's network namespace.
  init() throws(CNIError) {
    do { socket = try RouteSocket() } catch { throw CNIError(error) }
  }

  /// Opens a socket of another network namespace.
  init(of namespace: borrowing NetworkNamespace) throws(CNIError) {
    do { socket = try namespace.openRouteSocket() } catch { throw CNIError(error) }
  }

  /// The link of a name; nil if there is none.
  @inline(never)
  public borrowing func link(_ name: InterfaceName) throws(CNIError) -> Link? {
    do { return try socket.link(named: name) } catch { throw CNIError(error) }
  }

  /// The link of an index; nil if there is none.
  @inline(never)
  public borrowing func link(at index: LinkIndex) throws(CNIError) -> Link? {
    do { return try socket.link(index: index) } catch { throw CNIError(error) }
  }

  /// All links, or the ports of a bridge.
  @inline(never)
  public borrowing func links(master: LinkIndex? = nil) throws(CNIError) -> [Link] {
    do { return try socket.links(master: master) } catch { throw CNIError(error) }
  }

  /// The addresses of a link, or of all (nil), of a family or of both (nil).
  @inline(never)
  public borrowing func addresses(
    of index: LinkIndex? = nil, family: IPAddress.Family? = nil
  ) throws(CNIError) -> [InterfaceAddress] {
    do { return try socket.addresses(index: index, family: family) } catch {
      throw CNIError(error)
    }
  }

  /// The routes of a table, or of all tables (nil).
  /// - Parameter proto: the routing protocol, as in `Route.proto`; nil for any.
  @inline(never)
  public borrowing func routes(
    _ family: IPAddress.Family, proto: UInt8? = nil, table: UInt32? = Route.mainTable
  ) throws(CNIError) -> [Route] {
    do { return try socket.routes(family, proto: proto, table: table) } catch {
      throw CNIError(error)
    }
  }

  /// The neighbour entries of a link, or of all.
  @inline(never)
  public borrowing func neighbours(
    of index: LinkIndex? = nil
  ) throws(CNIError) -> [Neighbour] {
    do { return try socket.neighbours(index: index) } catch { throw CNIError(error) }
  }

  /// The forwarding database of a bridge.
  @inline(never)
  public borrowing func forwardingEntries(
    of bridge: LinkIndex
  ) throws(CNIError) -> [ForwardingEntry] {
    do { return try socket.forwardingEntries(bridge: bridge) } catch { throw CNIError(error) }
  }

  /// The VLANs of a bridge or one of its ports.
  @inline(never)
  public borrowing func bridgeVLANs(of index: LinkIndex) throws(CNIError) -> [BridgeVLAN] {
    do { return try socket.bridgeVLANs(index: index) } catch { throw CNIError(error) }
  }

  /// This namespace's ID for another one; nil if it has none.
  @inline(never)
  public borrowing func id(of namespace: borrowing NetworkNamespace) throws(CNIError) -> Int32? {
    do { return try socket.id(of: namespace) } catch { throw CNIError(error) }
  }

  /// Sends requests in as few datagrams as possible. A failure does not stop the requests after it.
  /// - Throws: the first failure.
  @inline(never)
  public borrowing func perform(_ requests: [Request]) throws(CNIError) {
    do { try socket.perform(requests) } catch { throw CNIError(error) }
  }

  /// As `perform`, for a caller that looks at each failure.
  /// - Returns: the failures, in the order of the requests.
  @inline(never)
  public borrowing func failures(performing requests: [Request]) throws(CNIError) -> [Failure] {
    do { return try socket.failures(performing: requests) } catch { throw CNIError(error) }
  }

  /// As `perform`, for a caller to whom a missing object is not an error.
  @inline(never)
  public borrowing func performIfPresent(_ requests: [Request]) throws(CNIError) {
    for failure in try failures(performing: requests) where !failure.error.isMissing {
      throw CNIError(failure.error)
    }
  }
}
