import CNI
