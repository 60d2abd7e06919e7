"""Amazon ECS, on Fargate or EC2: the agent sets where its metadata is. `stopTimeout` is 30 s if not said.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4.html"""

from __future__ import annotations

from .platform import Platform

PLATFORM = Platform(
    name="ecs",
    title="Amazon ECS",
    second_port=True,
    signs=("ECS_CONTAINER_METADATA_URI_V4",),
)
