import CNI

/// The IPAM plugin named in a configuration's `ipam.type`, given the whole configuration
/// (specification section 4, "Delegated plugins").
public struct IPAMDelegate {
  private let type: String
  private let invocation: Invocation

  /// nil where the configuration delegates nothing.
  /// - Throws: error 7 for an `ipam` section that is none.
  public init?(_ invocation: Invocation) throws(CNIError) {
    guard let type = try invocation.configuration.ipam?.string("type") else { return nil }
    self.type = type
    self.invocation = invocation
  }

  /// Asks for addresses; an ADD that fails is followed by a DEL.
  /// - Throws: the delegate's error; error 103 where it gave no address.
  public func add() throws(CNIError) -> CNIResult {
    do throws(CNIError) {
      let printed = try run(.add)
      guard let object = (try? JSON(parsing: printed))?.object else {
        throw CNIError(
          .delegate, "the IPAM plugin \"\(type)\" printed no result",
          details: String(decoding: printed.prefix(1024), as: UTF8.self))
      }
      let result = try read(object)
      guard !result.ips.isEmpty else {
        throw CNIError(.delegate, "the IPAM plugin \"\(type)\" gave no address")
      }
      return result
    } catch {
      try? del()
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

  public func del() throws(CNIError) { _ = try run(.del) }

  public func check() throws(CNIError) { _ = try run(.check) }

  public func gc() throws(CNIError) { _ = try run(.gc) }

  /// - Throws: the delegate's error; 50 where the delegate is missing.
  public func status() throws(CNIError) {
    do throws(CNIError) { _ = try Delegate(type) } catch {
      throw CNIError(.notAvailable, error.message, details: error.details)
    }
    _ = try run(.status)
  }

  private func run(_ verb: Verb) throws(CNIError) -> [UInt8] {
    try Delegate(type).run(
      input: invocation.input, environment: [("CNI_COMMAND", verb.rawValue)])
  }
}
