// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netlink
import System

/// The pod's side of an attachment: its network namespace.
///
/// A method that throws throws error 100 if the kernel refuses a request, beside the errors that it names.
public struct Pod: ~Copyable {
  /// CNI_NETNS as the runtime gave it: the `sandbox` of a result.
  public let path: String
  /// The open namespace.
  public let namespace: NetworkNamespace
  /// For requests in the namespace.
  public let kernel: Kernel

  /// Opens the namespace. The plugin's own is refused, because every step would change the node, unless
  /// CNI_NETNS_OVERRIDE is `1` or `true` (as in the Go library).
  /// - Throws: error 3 if there is no namespace at the path, 4 for the plugin's own, 100 if it cannot be
  ///   opened or entered.
  public init(path: String) throws(CNIError) {
    let namespace = try Pod.open(path)
    let override = environmentVariable("CNI_NETNS_OVERRIDE")
    guard !namespace.isCurrent || override == "1" || override == "true" else {
      throw CNIError(
        .invalidEnvironment, "CNI_NETNS \(path) is the plugin's own network namespace",
        details: "CNI_NETNS_OVERRIDE=1 permits this")
    }
    kernel = try Kernel(of: namespace)
    self.path = path
    self.namespace = namespace
  }

  private static func open(_ path: String) throws(CNIError) -> NetworkNamespace {
    do throws(NetlinkError) { return try NetworkNamespace(path: path) } catch {
      switch error.errno {
      // There is no namespace. After any other error there may be one.
      case _ where error.isMissing: break
      case .invalidArgument, .tooManySymbolicLinkLevels, .fileNameTooLong: break
      default: throw CNIError(error)
      }
      throw CNIError(.unknownContainer, "CNI_NETNS: \(error.description)")
    }
  }

  /// Opens the namespace for a DEL; nil if there is none any more, if it is the plugin's own, or if there is
  /// no path.
  /// - Throws: error 100 if it cannot be opened or entered.
  public static func ifPresent(_ path: String?) throws(CNIError) -> Pod? {
    guard let path else { return nil }
    do throws(CNIError) { return try Pod(path: path) } catch {
      guard error.code == .unknownContainer || error.code == .invalidEnvironment else {
        throw error
      }
      return nil
    }
  }

  /// Locks the namespace until this process ends, so that of two simultaneous ADDs the second finds what the
  /// first one made, and does not undo it. The corresponding C function is `flock`.
  /// - Throws: error 11 if another process holds it for 10 s, 5 if it cannot be locked.
  public borrowing func lock() throws(CNIError) {
    do throws(Errno) { try namespace.lock(seconds: 10) } catch {
      guard error == .wouldBlock else { throw CNIError(SystemError("lock \(path)", error)) }
      throw CNIError(
        .tryAgainLater, "\(path) has been locked by another process for 10 seconds",
        details: "another ADD for this pod has not ended")
    }
  }

  /// The pod's interface.
  /// - Throws: error 3 if it is missing.
  @inline(never)
  public borrowing func interface(_ name: InterfaceName) throws(CNIError) -> Link {
    guard let link = try kernel.link(name) else {
      throw CNIError(.unknownContainer, "there is no interface \(name) in the namespace \(path)")
    }
    return link
  }

  /// Refuses an ADD whose interface already exists (specification section 2, "ADD").
  /// - Throws: error 101 if it does.
  @inline(never)
  public borrowing func refuse(existing name: InterfaceName) throws(CNIError) {
    guard try kernel.link(name) == nil else {
      throw CNIError(
        .exists, "CNI_IFNAME: the interface \(name) already exists in the namespace \(path)")
    }
  }

  /// Brings an interface of the pod up. Equivalent to: `ip link set NAME up`.
  @inline(never)
  public borrowing func bringUp(_ name: InterfaceName) throws(CNIError) {
    try kernel.perform([.changeLink(.name(name), LinkChange(up: true))])
  }
}
