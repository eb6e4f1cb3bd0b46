import CNetlink

exit(IPAMPlugin.run())
