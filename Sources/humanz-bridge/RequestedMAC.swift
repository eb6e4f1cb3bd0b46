// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded

extension MACAddress {
  /// The pod's requested MAC address: `runtimeConfig.mac`, else `args.cni.mac`, else `MAC` in CNI_ARGS; nil
  /// without any.
  /// - Throws: error 7 or 4 for an invalid address: multicast, all zero, or malformed.
  static func requested(by invocation: Invocation) throws(CNIError) -> MACAddress? {
    try invocation.requested(
      "mac", argument: "MAC",
      fromKeys: { (keys: Keys) throws(CNIError) -> MACAddress? in
        guard try keys.string("mac")?.isEmpty == false else { return nil }
        return try keys.parsed("mac", as: expected, usable)
      },
      fromText: { (text: String) throws(CNIError) -> MACAddress? in
        guard let mac = usable(text) else {
          throw CNIError(.invalidEnvironment, "CNI_ARGS: MAC is \"\(text)\", expected \(expected)")
        }
        return mac
      })
  }
}

private func usable(_ text: String) -> MACAddress? {
  MACAddress(text).flatMap { $0.isUsable ? $0 : nil }
}

private let expected = "a unicast MAC address such as 02:00:5e:10:00:01"
