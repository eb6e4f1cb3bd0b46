import CNetlink

exit(BridgePlugin.run())
