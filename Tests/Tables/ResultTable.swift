// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded

package enum ResultTable {
  /// A result of each version, converted to each version.
  package static let conversions: [Case] = ProtocolVersion.allCases.flatMap { from in
    ProtocolVersion.allCases.map { to in
      let expected = example(to, interfaces: !hasPairResult(from))
      // Members that only one of the two forms has come last.
      let isSameForm = hasPairResult(from) == hasPairResult(to)
      return Case("\(from) to \(to)", is: isSameForm ? expected : sorted(expected)) {
        let written = converted(example(from), to)
        return isSameForm ? written : sorted(written)
      }
    }
  }

  /// Whether a version has `ip4` and `ip6` instead of lists.
  private static func hasPairResult(_ version: ProtocolVersion) -> Bool { version < .v030 }

  /// Whether an address names its family in this version.
  private static func namesFamilies(_ version: ProtocolVersion) -> Bool {
    version == .v030 || version == .v031 || version == .v040
  }

  private static func converted(_ text: String, _ version: ProtocolVersion) -> String {
    guard let object = (try? JSON(parsing: Array(text.utf8)))?.object,
      let result = try? CNIResult(Keys(object), version: .newest)
    else { return "nil" }
    return String(decoding: result.json(version: version).text, as: UTF8.self)
  }

  /// The top-level members, sorted by name.
  package static func sorted(_ text: String) -> String {
    guard let object = (try? JSON(parsing: Array(text.utf8)))?.object else { return "nil" }
    return object.members
      .map { "\($0.name): " + String(decoding: $0.value.text, as: UTF8.self) }.inOrder()
      .joined(separator: "\n")
  }

  /// The same result in each version's form.
  /// - Parameter interfaces: whether it has interfaces, which 0.1.0 and 0.2.0 cannot.
  package static func example(_ version: ProtocolVersion, interfaces: Bool = true) -> String {
    if hasPairResult(version) {
      return """
        {"cniVersion":"\(version)",\
        "ip4":{"ip":"10.1.2.3/24","gateway":"10.1.2.1","x":1.50,\
        "routes":[{"dst":"0.0.0.0/0"},{"dst":"10.9.0.0/16","gw":"10.1.2.9","y":"é"}]},\
        "ip6":{"ip":"fd00::3/64","routes":[{"dst":"fd01::/48"}]},\
        "dns":{"nameservers":["10.1.2.1"],"z":[]},"other":{"deep":[1e0]}}
        """
    }
    let v4 = namesFamilies(version) ? "\"version\":\"4\"," : ""
    let v6 = namesFamilies(version) ? "\"version\":\"6\"," : ""
    let index = interfaces ? "\"interface\":1," : ""
    let list =
      interfaces
      ? """
      "interfaces":[{"name":"cni0","mac":"02:00:00:00:00:01"},\
      {"name":"eth0","sandbox":"/run/netns/a","i":0}],
      """ : ""
    return """
      {"cniVersion":"\(version)",\(list)\
      "ips":[{\(v4)\(index)"address":"10.1.2.3/24","gateway":"10.1.2.1","x":1.50},\
      {\(v6)\(index)"address":"fd00::3/64"}],\
      "routes":[{"dst":"0.0.0.0/0"},{"dst":"10.9.0.0/16","gw":"10.1.2.9","y":"é"},\
      {"dst":"fd01::/48"}],\
      "dns":{"nameservers":["10.1.2.1"],"z":[]},"other":{"deep":[1e0]}}
      """
  }
}
