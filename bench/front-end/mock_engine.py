#!/usr/bin/env python3
"""A mock EngineCore for benchmarks: vLLM 0.32's wire, and one token per running request and step for free.

  mock_engine.py --handshake tcp://127.0.0.1:29550 [--steps-per-second 100] [--no-stats]

It dials a front end's handshake socket as `vllm serve --headless` does, takes ADD, ABORT and UTILITY, and sends all
tokens of a step in one message, encoded by the library that vLLM encodes with. What costs CPU in front of it is the
front end. SIGUSR2 switches between the pace and a flood (no pause between steps).
"""

import argparse
import signal
import time

import msgspec
import zmq

ADD, ABORT, UTILITY = b"\x00", b"\x01", b"\x03"
FINISHED_BY_LENGTH = 1

parser = argparse.ArgumentParser(description="A mock EngineCore for benchmarks.")
parser.add_argument("--handshake", required=True, help="where the front end waits, tcp://HOST:PORT")
parser.add_argument("--steps-per-second", type=float, default=100.0)
parser.add_argument("--no-stats", action="store_true", help="as vLLM's --disable-log-stats")
parser.add_argument("--max-model-len", type=int, default=2048)
parser.add_argument("--vocab-size", type=int, default=2048)
options = parser.parse_args()

encoder = msgspec.msgpack.Encoder()
decoder = msgspec.msgpack.Decoder(ext_hook=lambda code, data: bytes(data))
context = zmq.Context(io_threads=1)

# What `step` changes of an output, by its place in vLLM's EngineCoreOutput.
TOKEN_IDS, FINISH_REASON, EVENTS, PREFILL_STATS = 1, 5, 7, 11


def dealer(address):
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.IDENTITY, (0).to_bytes(2, "little"))
    for option in (zmq.SNDHWM, zmq.RCVHWM, zmq.LINGER):
        socket.setsockopt(option, 0)
    socket.connect(address)
    return socket


def ready_response():
    return {
        "max_model_len": options.max_model_len,
        "num_gpu_blocks": 8192,
        "block_size": 128,
        "dp_stats_address": None,
        "dtype": "float32",
        "vllm_version": "0.32.0",
        "world_size": 1,
        "data_parallel_size": 1,
        "tensor_parallel_size": 1,
        "pipeline_parallel_size": 1,
        "decode_context_parallel_size": 1,
        "data_parallel_rank": 0,
        "max_num_seqs": 1024,
        "max_num_batched_tokens": 8192,
        "instance_id": "mock",
        "supports_lora": False,
        "max_loras": 0,
        "mamba_block_size": None,
        "kv_cache_size_tokens": 1048576,
        "kv_cache_max_concurrency": 512.0,
        "kv_events_config": None,
        "weight_transfer_backend": None,
        "enable_sleep_mode": False,
        "supports_draft_weight_updates": False,
        "effective_attention_block_size": 128,
    }


STATS = {
    "num_running_reqs": 0,
    "num_waiting_reqs": 0,
    "num_skipped_waiting_reqs": 0,
    "num_kv_fetch_reqs_by_stage": {"waiting_to_start": 0, "in_progress": 0, "completed_waiting": 0},
    "step_counter": 0,
    "current_wave": 0,
    "kv_cache_usage": 0.01,
    "iteration_details": None,
    "prefix_cache_stats": {
        "reset": False,
        "requests": 0,
        "queries": 0,
        "hits": 0,
        "preempted_requests": 0,
        "preempted_queries": 0,
        "preempted_hits": 0,
        "hits_by_source": {},
    },
    "connector_prefix_cache_stats": None,
    "kv_cache_eviction_events": [],
    "spec_decoding_stats": None,
    "kv_connector_stats": None,
    "ec_connector_stats": None,
    "waiting_lora_adapters": {},
    "running_lora_adapters": {},
    "cudagraph_stats": None,
    "perf_stats": None,
}


class Engine:
    def __init__(self, output):
        self.output = output
        self.running = {}  # request id -> [its output, tokens left]
        self.steps = 0

    def send(self, outputs, utility=None, finished=None):
        stats = None
        if not options.no_stats and utility is None:
            STATS["num_running_reqs"] = len(self.running)
            stats = STATS
        message = [0, outputs, stats, time.monotonic(), utility, finished, None, None, "default"]
        self.output.send(encoder.encode(message))

    def take(self, kind, body):
        if kind == ADD:
            self.add(body[0], body[1] or [], body[3] or {})
        elif kind == ABORT:
            for request_id in body:  # as in vLLM, nothing is sent back
                self.running.pop(request_id, None)
        elif kind == UTILITY:
            answers = {"get_supported_tasks": ["generate"], "is_sleeping": False, "reset_prefix_cache": True}
            self.send([], utility=[body[1], None, [None, answers.get(body[2])]])

    def add(self, request_id, prompt, sampling):
        now = time.monotonic()
        events = None if options.no_stats else [{"type": 1, "timestamp": now}, {"type": 2, "timestamp": now}]
        prefill = {
            "num_prompt_tokens": len(prompt),
            "num_computed_tokens": len(prompt),
            "num_cached_tokens": 0,
            "num_local_cached_tokens": 0,
            "num_external_cached_tokens": 0,
            "num_cache_creation_tokens": 0,
        }
        output = [request_id, [0], None, None, None, None, None, events, None, None, None, prefill]
        output += [None, 0, None, None, None, None]
        self.running[request_id] = [output, sampling.get("max_tokens") or 16]

    def step(self):
        self.steps += 1
        token_id = 3 + (self.steps * 7) % (options.vocab_size - 8)
        outputs, done = [], []
        for request_id, entry in self.running.items():
            output = entry[0]
            output[TOKEN_IDS][0] = token_id
            entry[1] -= 1
            if entry[1] <= 0:
                output[FINISH_REASON] = FINISHED_BY_LENGTH
                done.append(request_id)
            outputs.append(output)
        self.send(outputs, finished=done or None)
        for output in outputs:
            output[EVENTS] = output[PREFILL_STATS] = None
        for request_id in done:
            del self.running[request_id]
        if done and not options.no_stats:
            self.send([])


def main():
    handshake = dealer(options.handshake)
    handshake.send(encoder.encode({"status": "HELLO", "local": False, "headless": True}))
    addresses = decoder.decode(handshake.recv())["addresses"]
    requests = dealer(addresses["inputs"][0])
    output = context.socket(zmq.PUSH)
    output.setsockopt(zmq.SNDHWM, 0)
    output.connect(addresses["outputs"][0])
    requests.send(encoder.encode(ready_response()))
    handshake.send(encoder.encode({"status": "READY", "local": False, "headless": True}))
    print("ready", flush=True)

    engine = Engine(output)
    paced = 1.0 / options.steps_per_second
    pace = {"period": paced}

    def switch(*_):
        pace["period"] = 0.0 if pace["period"] else paced
        print("flood" if pace["period"] == 0.0 else "paced", flush=True)

    signal.signal(signal.SIGUSR2, switch)
    poller = zmq.Poller()
    poller.register(requests, zmq.POLLIN)
    due = time.monotonic()
    while True:
        idle = not engine.running
        wait = None if idle else max(0.0, due - time.monotonic())
        if wait is None or wait > 0:
            # Below a millisecond the poller's clock is too coarse for a pace.
            if wait is not None and wait < 0.001:
                time.sleep(wait)
            else:
                poller.poll(wait if wait is None else int(wait * 1000))
            if idle:
                due = time.monotonic()
        while True:
            try:
                frames = requests.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            engine.take(frames[0], decoder.decode(frames[1]))
        now = time.monotonic()
        if engine.running and now >= due:
            due = max(due + pace["period"], now - 0.1)
            engine.step()


main()
