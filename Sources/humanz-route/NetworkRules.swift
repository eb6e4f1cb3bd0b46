import CNI
import Netfilter
import Netlink
import Stage

/// What a network's pods need of the node's firewalls: once for all of them.
struct NetworkRules {
  private let name: NetworkName
  /// nil: firewalls are left alone.
  private let forward: ForwardAccept?
  /// nil: what leaves the network leaves with the pods' own addresses.
  private let masquerade: Masquerade?

  /// - Parameter addresses: the pod's; none in STATUS, which then asks for no masquerade.
  init(_ configuration: RouteConfiguration, _ name: NetworkName, _ addresses: [ResultIP]) {
    self.name = name
    let network = configuration.network
    var inside: [IPPrefix] = []
    for ip in addresses {
      var prefix = ip.address.network
      // An address alone is no pods' prefix: there would be a rule for each.
      if prefix.length == prefix.family.bits {
        prefix = network.first { $0.contains(prefix) } ?? prefix
      }
      if !inside.contains(prefix) { inside.append(prefix) }
    }
    let outside = inside.filter { prefix in !network.contains { $0.contains(prefix) } }
    let all = network + outside
    forward =
      configuration.forward && !all.isEmpty ? ForwardAccept(network: name, prefixes: all) : nil
    masquerade =
      configuration.ipMasq && !inside.isEmpty
      ? Masquerade(network: name, inside: inside, except: all) : nil
  }

  /// Makes what is missing. Does nothing, and starts no process, where nothing is.
  ///
  /// All or nothing under the lock: who finds one rule there and another missing waits for it.
  /// - Returns: the sentence about a firewall that lets itself not be told, as firewalld's own tables.
  ///   That fails no pod: those on the node reach each other.
  func install() throws(CNIError) -> [String] {
    guard forward != nil || masquerade != nil else { return [] }
    do throws(NetlinkError) {
      let socket = try NetfilterSocket()
      if try isInstalled(socket) { return [] }
    } catch {
      throw CNIError(error)
    }
    var complaints: [String] = []
    let lock = try NodeLock(.exclusive)
    do throws(NetlinkError) {
      let socket = try NetfilterSocket()
      let hadForward = try forward?.isInstalled(socket) ?? true
      do throws(NetlinkError) { try forward?.install(socket) } catch {
        complaints.append(error.description)
      }
      do throws(NetlinkError) { try masquerade?.install(socket) } catch {
        if !hadForward { try? forward?.remove(socket) }
        throw error
      }
    } catch {
      throw CNIError(error)
    }
    lock.unlock()
    return complaints
  }

  private func isInstalled(_ socket: borrowing NetfilterSocket) throws(NetlinkError) -> Bool {
    guard try forward?.isInstalled(socket) ?? true else { return false }
    return try masquerade?.isInstalled(socket) ?? true
  }

  /// What is missing, each as a sentence.
  func complaints() throws(CNIError) -> [String] {
    guard forward != nil || masquerade != nil else { return [] }
    do throws(NetlinkError) {
      let socket = try NetfilterSocket()
      var complaints =
        try forward?.droppingChains(socket).map {
          "\($0) drops the network \(name) by its policy"
        } ?? []
      if let masquerade, try !masquerade.isInstalled(socket) {
        complaints.append("the masquerade of the network \(name) is missing or changed")
      }
      return complaints
    } catch {
      throw CNIError(error)
    }
  }

  /// Removes the rules of a network that has no attachment any more, whatever its keys say now.
  static func remove(of network: NetworkName) throws(CNIError) {
    let lock = try NodeLock(.exclusive)
    do throws(NetlinkError) {
      let socket = try NetfilterSocket()
      try ForwardAccept(network: network, prefixes: []).remove(socket)
      try Masquerade.remove(network: network, socket)
    } catch {
      throw CNIError(error)
    }
    lock.unlock()
  }
}
