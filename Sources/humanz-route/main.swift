import CNetlink

exit(RoutePlugin.run())
