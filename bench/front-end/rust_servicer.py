#!/usr/bin/env python3
"""The Rust VllmEngine servicer of the wheel `smg` alone, waiting for an engine that dials its handshake.

  rust_servicer.py PORT HANDSHAKE_PORT IPC_BASE_URL
"""

import signal
import sys
import time

from smg.servicer import VllmGrpcServer

port, handshake_port, ipc_base_url = sys.argv[1:4]
server = VllmGrpcServer(
    f"127.0.0.1:{port}",
    ipc_base_url,
    f"tcp://127.0.0.1:{handshake_port}",
    "mock",
    served_model_name="mock",
    tokenizer_path="mock",
    max_context_length=2048,
    vocab_size=2048,
    model_type="llama",
    architectures=["LlamaForCausalLM"],
    eos_token_ids=[2],
    max_num_seqs=1024,
    block_size=128,
    log_stats=True,
)


def stop(*_):
    server.set_serving(False)
    server.stop()
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
while not server.engine_ready:
    time.sleep(0.05)
print("ready", flush=True)
while True:
    signal.pause()
