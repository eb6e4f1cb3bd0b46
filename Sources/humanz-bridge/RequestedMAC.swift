import CNI

extension MACAddress {
  /// The pod's MAC address as it is asked for: by `runtimeConfig.mac`, or else `args.cni.mac`, or
  /// else `MAC` in CNI_ARGS; nil where none of them does.
  /// - Throws: error 7 or 4 for one that is no interface's: a group's, all zero, or no MAC address.
  init?(requestedBy invocation: Invocation) throws(CNIError) {
    let configuration = invocation.configuration
    if let mac = try MACAddress(configuration.runtimeConfig("mac")) {
      self = mac
    } else if let mac = try MACAddress(configuration.cniArguments) {
      self = mac
    } else if let text = invocation.arguments["MAC"], !text.isEmpty {
      guard let mac = MACAddress(text), mac.isUsable else {
        throw CNIError(.invalidEnvironment, "CNI_ARGS: MAC is \"\(text)\": \(expected) is due")
      }
      self = mac
    } else {
      return nil
    }
  }

  /// The key `mac` of an object; nil where it is absent or empty.
  private init?(_ keys: Keys?) throws(CNIError) {
    guard let keys, try keys.string("mac")?.isEmpty == false,
      let mac = try keys.parsed(
        "mac", as: expected, { text in MACAddress(text).flatMap { $0.isUsable ? $0 : nil } })
    else { return nil }
    self = mac
  }
}

private let expected = "a unicast MAC address such as 02:00:5e:10:00:01"
