import Addresses
import CNI
import Netfilter
import Netlink
import Node

/// `macspoofchk`: what a pod sends from another MAC address than its own is dropped.
extension HostInterface {
  func sourceCheck(of mac: MACAddress) -> SourceCheck {
    SourceCheck(port: name, mac: mac, comment: alias)
  }
}

extension AttachmentLinks {
  /// Holds the pod to its MAC address, from before its end can be brought up.
  func installSourceCheck(undo: inout Undo) throws(CNIError) {
    guard let mac = pod.mac else { return }
    undo.push(.sourceCheck(host.name))
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      try host.sourceCheck(of: mac).install(socket)
    }
  }
}
