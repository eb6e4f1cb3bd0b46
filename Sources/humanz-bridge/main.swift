import CNI
import CNetlink

exit(BridgePlugin.run())
