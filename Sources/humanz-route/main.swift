import CNI
import CNetlink

exit(RoutePlugin.run())
