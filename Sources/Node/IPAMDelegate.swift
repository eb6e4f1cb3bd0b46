// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded
import Netlink
import System

extension CNIError.Code {
  /// humanz-ipam: the attachment holds addresses already.
  public static let held = CNIError.Code(rawValue: 122)
}

/// The IPAM plugin named in a configuration's `ipam.type`, given the whole configuration
/// (specification section 4, "Delegated plugins").
public struct IPAMDelegate {
  private let type: String
  private let invocation: Invocation

  /// The environment variable that names the node's end of the pair that the caller is about to make.
  /// Other IPAM plugins ignore it.
  public static let hostInterfaceVariable = "HUMANZ_HOST_INTERFACE"

  /// The environment variable that tells a delegate that it is one. It stops a plugin that names itself as
  /// its delegate, directly or through another plugin, from starting itself without end.
  private static let delegateVariable = "HUMANZ_DELEGATE"

  /// nil if the configuration has no `ipam.type`: it delegates nothing.
  /// - Throws: error 7 for an invalid `ipam` section, and in a plugin that is itself called as the delegate.
  public init?(_ invocation: Invocation) throws(CNIError) {
    guard let type = try invocation.configuration.ipam?.string("type") else { return nil }
    guard environmentVariable(IPAMDelegate.delegateVariable) == nil else {
      throw CNIError(
        .invalidConfiguration, "key \"ipam.type\" is \"\(type)\", expected an IPAM plugin",
        details:
          "the plugin would start itself without end: it runs what \"ipam.type\" names")
    }
    self.type = type
    self.invocation = invocation
  }

  /// Asks for addresses. A failed ADD is followed by a DEL. The delegate is told the name of the node's end
  /// of the pair, which it may keep with the lease: see `hostInterfaceVariable`.
  /// - Parameter undo: gets the DEL, for a failure of a later step.
  /// - Throws: the delegate's error; error 103 if it cannot be run, or gave no result or no address; 7 if
  ///   `ipam.type` is a path.
  public func add(for attachment: Attachment, undo: inout Undo) throws(CNIError) -> CNIResult {
    let host = HostInterface(of: attachment, on: invocation.configuration.name)
    undo.push(.call { _, _ in try? del() })
    do throws(CNIError) {
      let printed = try run(.add, [(IPAMDelegate.hostInterfaceVariable, "\(host.name)")])
      guard let object = (try? JSON(parsing: printed))?.object else {
        throw CNIError(
          .delegate, "the IPAM plugin \"\(type)\" printed no result",
          details: String(decoding: printed.prefix(1024)))
      }
      let result = try read(object)
      guard !result.ips.isEmpty else {
        throw CNIError(.delegate, "the IPAM plugin \"\(type)\" gave no address")
      }
      return result
    } catch {
      // An attachment that holds addresses already keeps them: its first ADD may be under way.
      if error.code != .held { try? del() }
      throw error
    }
  }

  private func read(_ object: JSONObject) throws(CNIError) -> CNIResult {
    do throws(CNIError) {
      return try CNIResult(Keys(object), version: invocation.configuration.version)
    } catch {
      throw CNIError(
        .delegate, "the result of the IPAM plugin \"\(type)\": \(error.message)",
        details: error.details)
    }
  }

  /// Frees the attachment's addresses.
  /// - Throws: the delegate's error; 103 if it cannot be run, 7 if `ipam.type` is a path.
  public func del() throws(CNIError) { _ = try run(.del) }

  /// CHECK of the addresses in prevResult, by the delegate.
  /// - Throws: as `del`.
  public func check() throws(CNIError) { _ = try run(.check) }

  /// Frees the addresses of attachments that are not valid any more, which the configuration names.
  /// - Throws: as `del`.
  public func gc() throws(CNIError) { _ = try run(.gc) }

  /// Whether the delegate could serve the next ADD.
  /// - Throws: the delegate's error; 50 if the delegate is missing, 103 if it cannot be run.
  public func status() throws(CNIError) {
    do throws(CNIError) { _ = try PluginExecutable(type) } catch {
      throw CNIError(.notAvailable, error.message, details: error.details)
    }
    _ = try run(.status)
  }

  private func run(
    _ verb: Verb, _ variables: [(name: String, value: String)] = []
  ) throws(CNIError) -> [UInt8] {
    try PluginExecutable(type).run(
      input: invocation.input,
      environment: [("CNI_COMMAND", verb.rawValue), (IPAMDelegate.delegateVariable, "1")]
        + variables)
  }
}
