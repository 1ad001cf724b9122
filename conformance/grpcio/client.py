"""Drives a running server with grpcio and prints what it saw as one JSON object.

    python client.py SCENARIO --target HOST:PORT --protos FOLDER [--server-pid PID] [--engine-pid PID]

The program judges nothing: it reports, and grpcio.test.ts compares. FOLDER holds the Python modules that protoc made
from the repository's proto files.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

arguments = argparse.ArgumentParser()
arguments.add_argument("scenario")
arguments.add_argument("--target", required=True)
arguments.add_argument("--protos", required=True)
arguments.add_argument("--server-pid", type=int)
arguments.add_argument("--engine-pid", type=int)
options = arguments.parse_args()

sys.path.insert(0, options.protos)
import vllm_engine_pb2 as pb  # noqa: E402
import vllm_engine_pb2_grpc as pb_grpc  # noqa: E402

ENGINE = "vllm.grpc.engine.VllmEngine"
PROMPT = "Once upon a time"
WAIT_S = 60

channel = grpc.insecure_channel(options.target)
engine = pb_grpc.VllmEngineStub(channel)
health = health_pb2_grpc.HealthStub(channel)


def request(request_id, *, stream=True, max_tokens=16, **sampling):
    sampling = {"temperature": 0.0, "ignore_eos": True, **sampling}
    params = pb.SamplingParams(max_tokens=max_tokens, **sampling)
    return pb.GenerateRequest(request_id=request_id, text=PROMPT, stream=stream, sampling_params=params)


def as_dict(complete):
    return {
        "outputIds": list(complete.output_ids),
        "finishReason": complete.finish_reason,
        "promptTokens": complete.prompt_tokens,
        "completionTokens": complete.completion_tokens,
        "index": complete.index,
    }


def collect(call):
    """Reads a stream to its end: the token ids of the chunks and the Completes, by index, and the status."""
    tokens, deltas, completes, code, details = {}, True, {}, grpc.StatusCode.OK, ""
    try:
        for response in call:
            if response.WhichOneof("response") == "chunk":
                chunk = response.chunk
                deltas = deltas and chunk.completion_tokens == len(chunk.token_ids)
                tokens.setdefault(chunk.index, []).extend(chunk.token_ids)
            else:
                completes[response.complete.index] = as_dict(response.complete)
    except grpc.RpcError as error:
        code, details = error.code(), error.details()
    return {
        "tokens": [tokens[index] for index in sorted(tokens)],
        "completes": [completes[index] for index in sorted(completes)],
        "chunksAreDeltas": deltas,
        "status": code.name,
        "details": details,
    }


def until_idle():
    """Waits until no request runs or waits and answers the milliseconds that took."""
    started = time.monotonic()
    while time.monotonic() - started < WAIT_S:
        loads = engine.GetLoads(pb.GetLoadsRequest()).loads
        if all(load.num_running_reqs == 0 and load.num_waiting_reqs == 0 for load in loads):
            return round((time.monotonic() - started) * 1000)
        time.sleep(0.01)
    return None


def running():
    return sum(load.num_running_reqs for load in engine.GetLoads(pb.GetLoadsRequest()).loads)


def unary():
    return collect(engine.Generate(request("unary", stream=False)))


def stream():
    return {"streamed": collect(engine.Generate(request("stream"))), "whole": unary()}


def several_outputs():
    sampling = {"n": 2, "temperature": 1.0, "seed": 7}
    return {
        "first": collect(engine.Generate(request("n-1", **sampling))),
        "again": collect(engine.Generate(request("n-2", **sampling))),
    }


def logprobs():
    call = engine.Generate(request("logprobs", stream=False, max_tokens=4, logprobs=2, prompt_logprobs=1))
    complete = next(iter(call)).complete
    output, prompt = complete.output_logprobs, complete.input_logprobs
    return {
        "outputIds": list(complete.output_ids),
        "promptTokens": complete.prompt_tokens,
        "tokenIds": list(output.token_ids),
        "tokenLogprobs": list(output.token_logprobs),
        "top": [{"ids": list(top.token_ids), "values": list(top.values)} for top in output.top_logprobs],
        "promptIds": list(prompt.token_ids),
        "promptLogprobs": [v.value if v.HasField("value") else None for v in prompt.token_logprobs],
    }


# Tens of thousands of tokens: many seconds of work, so that slots that are free soon were freed and not finished.
LONG = {"max_tokens": 1900, "n": 32, "temperature": 1.0}


def cancel():
    call = engine.Generate(request("cancel", **LONG))
    read = [next(call) for _ in range(3)]
    ran = running()
    call.cancel()
    return {"read": len(read), "runningBefore": ran, "idleAfterMs": until_idle()}


def abort():
    call = engine.Generate(request("to-abort", **LONG))
    next(call)
    engine.Abort(pb.AbortRequest(request_ids=["to-abort", "unknown"]))
    return {**collect(call), "idleAfterMs": until_idle()}


def deadline():
    call = engine.Generate(request("deadline", **LONG), timeout=0.2)
    return {"status": collect(call)["status"], "idleAfterMs": until_idle()}


def many():
    def one(number):
        result = collect(engine.Generate(request(f"many-{number}", max_tokens=128)))
        return {"status": result["status"], "counts": [len(ids) for ids in result["tokens"]]}

    with ThreadPoolExecutor(64) as pool:
        results = list(pool.map(one, range(64)))
    return {"results": results, "idleAfterMs": until_idle()}


def reflection():
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    service = pool.FindServiceByName(ENGINE)
    bias = pool.FindMessageTypeByName("vllm.grpc.engine.SamplingParams").fields_by_name["logit_bias"]
    return {
        "services": sorted(database.get_services()),
        "methods": [method.name for method in service.methods],
        "logitBiasIsMap": bias.message_type.GetOptions().map_entry,
    }


class Watch:
    """A Watch call, read by a thread of its own."""

    def __init__(self, name):
        self.statuses = []
        self.end = None
        self.changed = threading.Condition()
        self.call = health.Watch(health_pb2.HealthCheckRequest(service=name))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        end = "OK"
        try:
            for response in self.call:
                with self.changed:
                    self.statuses.append(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))
                    self.changed.notify_all()
        except grpc.RpcError as error:
            end = error.code().name
        with self.changed:
            self.end = end
            self.changed.notify_all()

    def until(self, holds):
        with self.changed:
            return self.changed.wait_for(lambda: holds(self), WAIT_S)


def watch_shutdown():
    watches = {"engine": Watch(ENGINE), "overall": Watch(""), "unknown": Watch("no.such.Service")}
    for watch in watches.values():
        watch.until(lambda w: len(w.statuses) == 1)
    # Requests that change no status must not be heard.
    collect(engine.Generate(request("beside-watch")))
    before = {name: list(watch.statuses) for name, watch in watches.items()}
    open_before = all(watch.end is None for watch in watches.values())
    os.kill(options.server_pid, signal.SIGTERM)
    for watch in watches.values():
        watch.until(lambda w: w.end is not None)
    return {
        "before": before,
        "openBefore": open_before,
        "heard": {name: watch.statuses for name, watch in watches.items()},
        "ends": {name: watch.end for name, watch in watches.items()},
    }


def kill_engine():
    watch = Watch(ENGINE)
    started = threading.Barrier(17)

    def one(number):
        call = engine.Generate(request(f"killed-{number}", max_tokens=1900))
        next(call)
        started.wait(WAIT_S)
        return collect(call)

    with ThreadPoolExecutor(16) as pool:
        results = [pool.submit(one, number) for number in range(16)]
        started.wait(WAIT_S)
        os.kill(options.engine_pid, signal.SIGKILL)
        ends = [result.result() for result in results]
    watch.until(lambda w: w.statuses[-1:] == ["SERVING"] and "NOT_SERVING" in w.statuses)
    after = collect(engine.Generate(request("after-kill")))
    return {"ends": [end["status"] for end in ends], "details": ends[0]["details"], "heard": watch.statuses, "after": after}


scenarios = {
    function.__name__: function
    for function in [
        unary, stream, several_outputs, logprobs, cancel, abort, deadline, many, reflection, watch_shutdown, kill_engine,
    ]
}
print(json.dumps(scenarios[options.scenario]()))
