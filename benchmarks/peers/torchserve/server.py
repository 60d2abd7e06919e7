"""Archives the handler, then becomes `torchserve --foreground`: `server.py MODEL PORT`. Needs Java."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import reference_models

HERE = Path(__file__).parent
SCRIPTS = Path(sysconfig.get_path("scripts"))
CONFIG = """
inference_address=http://127.0.0.1:{port}
management_address=http://127.0.0.1:{management}
metrics_address=http://127.0.0.1:{metrics}
grpc_inference_port={grpc}
grpc_management_port={grpc_management}
model_store={store}
load_models={model}
install_py_dep_per_model=false
disable_token_authorization=true
disable_system_metrics=true
metrics_mode=prometheus
job_queue_size=1024
max_request_size=67108864
max_response_size=67108864
"""
MODEL_CONFIG = """
minWorkers: 1
maxWorkers: 1
batchSize: {batch}
maxBatchDelay: {delay_ms}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def main() -> None:
    model, port = sys.argv[1:]
    folder = Path(os.environ["BENCH_SCRATCH"], model)
    store = folder / "store"
    if not store.exists():
        store.mkdir(parents=True)
        config = folder / "model-config.yaml"
        batch = 1 if model == "echo" else reference_models.BATCH
        config.write_text(MODEL_CONFIG.format(batch=batch, delay_ms=5))
        archiver = [str(SCRIPTS / "torch-model-archiver"), "--model-name", model, "--version", "1.0"]
        options = ["--handler", str(HERE / "handler.py"), "--config-file", str(config)]
        target = ["--archive-format", "no-archive", "--export-path", str(store)]
        subprocess.run([*archiver, *options, *target], check=True)
    ports = {name: free_port() for name in ("management", "metrics", "grpc", "grpc_management")}
    properties = folder / "config.properties"
    properties.write_text(CONFIG.format(port=port, store=store, model=model, **ports))
    os.environ["LOG_LOCATION"] = os.environ["METRICS_LOCATION"] = str(folder)
    os.chdir(folder)
    command = str(SCRIPTS / "torchserve")
    options = [
        "--foreground",
        "--ncs",
        "--ts-config",
        str(properties),
        "--log-config",
        str(HERE / "log4j2.xml"),
    ]
    os.execv(command, [command, "--start", *options])


if __name__ == "__main__":
    main()
