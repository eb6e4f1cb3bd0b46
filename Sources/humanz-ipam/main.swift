import CNI
import CNetlink

exit(IPAMPlugin.run())
