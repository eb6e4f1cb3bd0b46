"""humanz-route on one node and on several, alone and beside routing daemons."""
