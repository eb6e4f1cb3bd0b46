import CNI
import Netfilter
import Netlink
import Stage

/// `macspoofchk`: what a pod sends from another MAC address than its own is dropped.
extension HostInterface {
  func sourceCheck(of mac: MACAddress) -> SourceCheck {
    SourceCheck(port: name, mac: mac, comment: alias)
  }
}

extension AttachmentLinks {
  /// Holds the pod to its MAC address, from before its end can be brought up.
  func checkSource(undo: inout Undo) throws(CNIError) {
    guard let mac = pod.mac else { return }
    undo.push { [name = host.name] (_, _) in
      if let netfilter = try? NetfilterSocket() { try? SourceCheck.remove(port: name, netfilter) }
    }
    do { try host.sourceCheck(of: mac).install(NetfilterSocket()) } catch {
      throw CNIError(error)
    }
  }
}
