import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallMetrics } from "./call-metrics.ts";

describe("metrics of calls", () => {
  const check = 'grpc_type="unary",grpc_service="a.Health",grpc_method="Check"';
  const path = "/a.Health/Check";
  const end = { code: 0, durationMs: 4, requestMessages: 1, responseMessages: 1 };

  it("are none before a call, and of no method that was not called", () => {
    assert.deepEqual(
      new CallMetrics()
        .text()
        .split("\n")
        .filter((line) => !line.startsWith("#")),
      [""],
    );
  });

  it("count beginnings, ends by status, messages and time", () => {
    const metrics = new CallMetrics();
    for (const durationMs of [0.5, 4, 5, 200_000]) {
      metrics.callBegan({ path }, { kind: "unary" })({ ...end, durationMs });
    }
    metrics.callBegan({ path }, { kind: "unary" })({ ...end, code: 14, durationMs: 26, responseMessages: 0 });
    metrics.callBegan({ path }, { kind: "unary" });
    metrics.callBegan(
      { path: "/a.Health/Watch" },
      { kind: "server-streaming" },
    )({ ...end, code: 1, responseMessages: 7 });
    const lines = metrics.text().split("\n");
    for (const line of [
      `grpc_server_started_total{${check}} 6`,
      `grpc_server_handled_total{${check},grpc_code="OK"} 4`,
      `grpc_server_handled_total{${check},grpc_code="Unavailable"} 1`,
      `grpc_server_msg_received_total{${check}} 5`,
      `grpc_server_msg_sent_total{${check}} 4`,
      `grpc_server_handling_seconds_bucket{${check},le="0.001"} 1`,
      `grpc_server_handling_seconds_bucket{${check},le="0.005"} 3`,
      `grpc_server_handling_seconds_bucket{${check},le="0.025"} 3`,
      `grpc_server_handling_seconds_bucket{${check},le="0.05"} 4`,
      `grpc_server_handling_seconds_bucket{${check},le="120"} 4`,
      `grpc_server_handling_seconds_bucket{${check},le="+Inf"} 5`,
      `grpc_server_handling_seconds_sum{${check}} 200.0355`,
      `grpc_server_handling_seconds_count{${check}} 5`,
      'grpc_server_handled_total{grpc_type="server_stream",grpc_service="a.Health",grpc_method="Watch",grpc_code="Canceled"} 1',
      'grpc_server_msg_sent_total{grpc_type="server_stream",grpc_service="a.Health",grpc_method="Watch"} 7',
    ]) {
      assert.ok(lines.includes(line), `${line}\nis not in\n${lines.join("\n")}`);
    }
  });
});
