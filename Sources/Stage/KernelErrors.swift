import CNI
import Netlink

extension CNIError {
  /// The one place where what the kernel refused becomes what a plugin prints.
  public init(_ error: NetlinkError) {
    self.init(.kernel, error.description)
  }
}
