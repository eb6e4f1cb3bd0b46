import CNI
import CNetlink
import Netlink

/// The node's side of every attachment: the namespace the plugin runs in.
public struct Node: ~Copyable {
  public let socket: RouteSocket

  public init() throws(CNIError) { socket = try Node.openSocket() }

  private static func openSocket() throws(CNIError) -> RouteSocket {
    do { return try RouteSocket() } catch { throw CNIError(error) }
  }

  /// Whether the kernel speaks IPv6.
  public static var hasIPv6: Bool { access("/proc/sys/net/ipv6", F_OK) == 0 }

  /// Looks a link up by name; nil where there is none.
  @inline(never)
  public borrowing func link(_ name: InterfaceName) throws(CNIError) -> Link? {
    do { return try socket.link(named: name) } catch { throw CNIError(error) }
  }

  /// Sends requests; one that fails stops none behind it.
  @inline(never)
  public borrowing func failures(performing requests: [Request]) throws(CNIError) -> [Failure] {
    do { return try socket.failures(performing: requests) } catch { throw CNIError(error) }
  }

  /// Sends requests in one batch.
  @inline(never)
  public borrowing func perform(_ requests: [Request]) throws(CNIError) {
    do { try socket.perform(requests) } catch { throw CNIError(error) }
  }
}
