// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Node
import System

/// The place of a store: a network, and the folder that its store is in.
struct StorePlace {
  let network: NetworkName
  let folder: String
}

/// The stores of all networks on the node.
struct LeaseStores {
  private(set) var places: [StorePlace] = []

  /// Finds the stores: in `folder` if it is given, else in the folders that configurations name and in the
  /// default folder. If one configuration file was named, only the stores of its network.
  init(folder: String?, _ configured: ConfiguredNetworks) throws(CNIError) {
    if folder == nil {
      for network in configured.networks {
        if let folder = network.leaseFolder { add(network.name, folder) }
      }
    }
    let folder = folder ?? LeaseFolder.ours
    do throws(SystemError) {
      let names = try Directory(path: folder, make: false)?.names() ?? []
      for name in names.sortedByBytes() {
        guard let network = NetworkName(name) else { continue }
        if configured.isFile, configured.named(network) == nil { continue }
        add(network, folder)
      }
    } catch {
      throw CNIError(error)
    }
  }

  private mutating func add(_ network: NetworkName, _ folder: String) {
    guard !places.contains(where: { $0.network == network && $0.folder == folder }) else { return }
    places.append(StorePlace(network: network, folder: folder))
  }

  /// The places of a network, or all.
  func of(_ network: NetworkName?) -> [StorePlace] {
    places.filter { network == nil || $0.network == network }
  }
}
