import CNI
import CNetlink

/// The networks of humanz-route in the network configurations of a node.
struct Conflists {
  /// Where runtimes look for them.
  static let defaultFolder = "/etc/cni/net.d"

  struct Network {
    let name: NetworkName
    let configuration: RouteConfiguration
  }

  private(set) var networks: [Network] = []
  /// What could not be read, each as a sentence.
  private(set) var complaints: [String] = []

  /// Reads the folder, or one file.
  /// - Throws: for a file that was asked for and cannot be read.
  init(file: String?) throws(CNIError) {
    if let file {
      try read(file)
      return
    }
    for name in Conflists.names(in: Conflists.defaultFolder) {
      let path = "\(Conflists.defaultFolder)/\(name)"
      do throws(CNIError) { try read(path) } catch { complaints.append(error.message) }
    }
  }

  private mutating func read(_ path: String) throws(CNIError) {
    do throws(CNIError) {
      let text = try FileDescriptor(path: path, flags: O_RDONLY).readAll()
      let json: JSON
      do throws(JSONError) { json = try JSON(parsing: text) } catch {
        throw CNIError(.undecodable, error.description)
      }
      let list = Keys(json.object ?? JSONObject())
      for var plugin in try list.list("plugins")?.map({ $0.object }) ?? [list.object]
      where plugin["type"]?.string == RoutePlugin.name {
        for key in ["cniVersion", "name"] { plugin[key] = list.object[key] }
        let configuration = try NetworkConfiguration(parsing: JSON.object(plugin).text)
        networks.append(
          Network(name: configuration.name, configuration: try RouteConfiguration(configuration)))
      }
    } catch {
      throw CNIError(error.code, "\(path): \(error.message)", details: error.details)
    }
  }

  /// The files that a runtime takes for configurations, in its order.
  private static func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = String(cString: humanz_dirent_name(entry)!)
      let ending = name.fields(separatedBy: ".").last ?? ""
      if ["conf", "conflist", "json"].contains(ending) { names.append(name) }
    }
    return names.sortedByBytes()
  }
}
