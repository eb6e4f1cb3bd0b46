import CNI
import Embedded
import Netfilter
import Netlink
import Routes

/// The networks of the node's configurations that have routes.
struct ConfiguredNetworks {
  private(set) var networks: [RoutedNetwork] = []
  /// What could not be read, a sentence each.
  private(set) var complaints: [String] = []

  /// Reads the folder of configurations, or one file.
  /// - Throws: for a file that was asked for and cannot be read.
  init(file: String?) throws(CNIError) {
    if let file {
      try read(file)
      return
    }
    for name in NetworkList.fileNames(in: NetworkList.defaultFolder) {
      let path = "\(NetworkList.defaultFolder)/\(name)"
      do throws(CNIError) { try read(path) } catch { complaints.append(error.message) }
    }
  }

  private mutating func read(_ path: String) throws(CNIError) {
    do throws(CNIError) {
      for configuration in try NetworkList(path: path).configurations(ofType: "humanz-route") {
        networks.append(try RoutedNetwork(configuration))
      }
    } catch {
      throw CNIError(error.code, "\(path): \(error.message)", details: error.details)
    }
  }
}
