"""Connects to a front end as an EngineCore would, and judges each request with vLLM's own code.

    python judge.py HANDSHAKE_ADDRESS MODEL_FOLDER

Decodes each ADD as vLLM's engine does, which is where a wrong value kills its input thread, and then lets vLLM's own
front end check it (InputProcessor.process_inputs). Prints one JSON line per request: {"id": ..., "refused": null or why}.
It computes nothing and answers nothing. Ends when its standard input does.
"""

import json
import sys
import threading

import msgspec
import zmq
from vllm.engine.arg_utils import EngineArgs
from vllm.v1.engine import EngineCoreRequest
from vllm.v1.engine.input_processor import InputProcessor
from vllm.v1.serial_utils import MsgpackDecoder

handshake_address, model = sys.argv[1:]
IDENTITY = b"\x00\x00"
ADD = b"\x00"

config = EngineArgs(model=model, dtype="float32", max_model_len=2048, enforce_eager=True).create_engine_config()
processor = InputProcessor(config)
# As EngineCoreProc.process_input_sockets makes it (vllm/v1/engine/core.py).
decoder = MsgpackDecoder(EngineCoreRequest)


def judge(frames):
    request = decoder.decode(frames)
    params = request.sampling_params
    if params.structured_outputs is not None:
        # What a front end writes for the engine is a user's choice to the checks.
        params.structured_outputs._backend = None
    prompt = {"type": "token", "prompt_token_ids": request.prompt_token_ids}
    processor.process_inputs(
        request.request_id,
        prompt,
        params,
        ("generate",),
        priority=request.priority,
        trace_headers=request.trace_headers,
        data_parallel_rank=request.data_parallel_rank,
    )


context = zmq.Context()


def dealer(address, kind=zmq.DEALER):
    socket = context.socket(kind)
    if kind == zmq.DEALER:
        socket.setsockopt(zmq.IDENTITY, IDENTITY)
    socket.connect(address)
    return socket


handshake = dealer(handshake_address)
handshake.send(msgspec.msgpack.encode({"status": "HELLO", "local": False, "headless": True}))
addresses = msgspec.msgpack.decode(handshake.recv())["addresses"]
receiver = dealer(addresses["inputs"][0])
sender = dealer(addresses["outputs"][0], zmq.PUSH)
receiver.send(msgspec.msgpack.encode({"max_model_len": 2048, "vllm_version": "judge", "max_num_seqs": 128}))
handshake.send(msgspec.msgpack.encode({"status": "READY", "local": False, "headless": True}))


def read():
    while True:
        kind, *frames = receiver.recv_multipart()
        if kind != ADD:
            continue
        request_id = msgspec.msgpack.decode(frames[0], type=list, ext_hook=lambda *_: None)[0]
        try:
            judge(frames)
            refused = None
        except Exception as error:  # Whatever it is, the engine or the front end would have failed on it.
            refused = f"{type(error).__name__}: {error}"
        print(json.dumps({"id": request_id, "refused": refused}), flush=True)


threading.Thread(target=read, daemon=True).start()
sys.stdin.read()
