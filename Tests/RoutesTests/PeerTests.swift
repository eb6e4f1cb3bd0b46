// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Tables
import Testing

@testable import Routes

/// The keys of a network and its peers.
@Suite struct PeerTests {
  private func network(_ keys: String) throws -> RoutedNetwork {
    let text = #"{"cniVersion":"1.0.0","name":"net","type":"humanz-route""#
    return try RoutedNetwork(
      NetworkConfiguration(parsing: Array("\(text)\(keys.isEmpty ? "" : ",")\(keys)}".utf8)))
  }

  private func message(_ keys: String) -> String {
    do {
      _ = try network(keys)
      return "no error"
    } catch let error as CNIError {
      return error.code == .invalidConfiguration ? error.message : "code \(error.code.rawValue)"
    } catch {
      return "another error"
    }
  }

  @Test func `keys have their defaults`() throws {
    let routed = try network("")
    #expect(routed.network == [] && routed.families == [] && routed.clusterFile == nil)
    #expect(routed.unreachable && routed.forward && !routed.ipMasq)
    #expect(try routed.peers().peers.isEmpty)
  }

  @Test func `peers have a subnet and addresses of its family`() throws {
    let routed = try network(
      #""network":["10.244.0.0/16","fd00::/32"],"peers":[{"name":"b","subnet":"10.244.1.0/24","#
        + #""via":["192.0.2.2","192.0.2.3"],"dev":"eth1","mtu":1400},{"subnet":"fd00:0:1::/64","via":"fd01::2"}]"#
    )
    #expect(routed.families == [.v4, .v6])
    let peers = try routed.peers().peers
    #expect(peers.map { "\($0)" } == ["peer b (10.244.1.0/24)", "peer (fd00:0:1::/64)"])
    #expect(peers[0].via == ["192.0.2.2", "192.0.2.3"].map { address($0) })
    #expect(peers[0].device == name("eth1") && peers[0].mtu == 1400 && !peers[0].isRest)
  }

  @Test(arguments: [
    (
      #""peers":[{"via":"192.0.2.2"}]"#,
      "key \"peers[0].subnet\" is required: the peer's pod subnet"
    ),
    (
      #""peers":[{"subnet":"10.0.0.0/24"}]"#,
      "key \"peers[0].via\" is required: the peer's address"
    ),
    (
      #""peers":[{"subnet":"10.0.0.0/24","via":[]}]"#,
      "key \"peers[0].via\" is required: the peer's address"
    ),
    (
      #""peers":[{"subnet":"10.0.0.0/24","via":"fd00::1"}]"#,
      "key \"peers[0].via\" is \"fd00::1\", expected an address of family IPv4"
    ),
    (
      #""peers":[{"subnet":"10.0.0.1/24","via":"192.0.2.2"}]"#,
      "key \"peers[0].subnet\" is 10.0.0.1/24, which has host bits set, expected 10.0.0.0/24"
    ),
    (
      #""network":"10.244.0.0/16","peers":[{"subnet":"10.0.0.0/24","via":"192.0.2.2"}]"#,
      "key \"peers[0].subnet\" is 10.0.0.0/24, outside of \"network\""
    ),
    (
      #""clusterFile":"/x","peers":[]"#,
      "key \"clusterFile\" and key \"peers\" exclude each other"
    ),
    (#""clusterFile":"x""#, "key \"clusterFile\" is \"x\", expected an absolute path"),
  ])
  func `a key that cannot be is named`(keys: String, expected: String) {
    #expect(message(keys) == expected)
  }
}
