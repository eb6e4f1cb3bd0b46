// SPDX-License-Identifier: Apache-2.0
import CNI

/// The keys of the stages' configurations, beside those of every plugin: for the stages, which refuse
/// mistyped ones, and for `humanz lint`.
public enum StageKeys {
  /// The entry of humanz-bridge.
  public static var bridge: KnownKeys {
    KnownKeys(
      """
      bridge mtu vlan vlanTrunk preserveDefaultVlan hairpinMode promiscMode portIsolation \
      macspoofchk disableContainerInterface isGateway isDefaultGateway forceAddress enabledad \
      ipMasqBackend queues waitForDelete bridgeNetfilter
      """)
  }

  /// An entry of humanz-bridge's `vlanTrunk`.
  public static var vlanTrunk: KnownKeys { KnownKeys("id minID maxID") }

  /// humanz-ipam's own entry, or the `ipam` section that names it.
  public static var ipam: KnownKeys {
    KnownKeys(
      """
      subnet rangeStart rangeEnd gateway ranges exclude routes resolvConf dataDir isGateway \
      forceAddress clusterFile
      """)
  }

  /// An entry of humanz-ipam's `ranges`: one range of a range set.
  public static var range: KnownKeys { KnownKeys("subnet rangeStart rangeEnd gateway") }

  /// The entry of humanz-route.
  public static var route: KnownKeys {
    KnownKeys(
      """
      network peers clusterFile unreachable forward defaultRoute routes statusLimited overlay \
      overlayPort overlayId overlaySource
      """)
  }

  /// An entry of humanz-route's `peers`.
  public static var peer: KnownKeys { KnownKeys("name subnet via dev mtu") }

  /// An entry of `routes`. Source: specification section 5, "routes".
  public static var podRoute: KnownKeys { KnownKeys("dst gw mtu advmss priority table scope") }
}
