// SPDX-License-Identifier: Apache-2.0
import CNI
import Routes

/// The keys of `humanz-route`, read once.
struct RouteConfiguration {
  /// What the node needs for all pods of the network.
  let network: RoutedNetwork
  /// Whether the pod gets a default route through its gateway.
  let defaultRoute: Bool
  /// Further routes for the pod.
  let routes: [ResultRoute]
  /// Whether STATUS returns error 51 if peers are unreachable.
  let statusLimited: Bool

  /// - Throws: error 7 naming the key.
  init(_ configuration: NetworkConfiguration) throws(CNIError) {
    let keys = configuration.keys
    network = try RoutedNetwork(configuration)
    defaultRoute = try keys.bool("defaultRoute") ?? true
    routes =
      try keys.list("routes")?.map { (route) throws(CNIError) in try ResultRoute(route) } ?? []
    statusLimited = try keys.bool("statusLimited") ?? false
  }
}
