"""Asks the running service over gRPC: `python call_grpc.py localhost:3001`.

Needs `pip install grpcio grpcio-reflection`, and no file: the server itself tells what its messages are.
"""

from __future__ import annotations

import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

FLOWERS = [5.1, 3.5, 1.4, 0.2, 6.0, 2.9, 4.5, 1.5, 6.3, 3.3, 6.0, 2.5]

with grpc.insecure_channel(sys.argv[1]) as channel:
    service = DescriptorPool(ProtoReflectionDescriptorDatabase(channel)).FindServiceByName("iris.Iris")
    method = service.FindMethodByName("Classify")
    request = GetMessageClass(method.input_type)(flowers={"numbers": FLOWERS, "shape": [3, 4]})
    classify = channel.unary_unary(
        f"/{service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    print("classify      ", list(classify(request, timeout=30).result))
