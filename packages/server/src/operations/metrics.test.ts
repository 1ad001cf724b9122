import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { CallMetrics } from "./call-metrics.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { startMetricsServer } from "./metrics-server.ts";

describe("metrics", () => {
  it("count changes of health by verdict and reason, and read the statuses when asked", async () => {
    const statuses = new Map([
      ["", true],
      ["liveness", false],
    ]);
    const metrics = createMetrics(() => statuses);
    metrics.healthChanged("stalled", "no-answer");
    metrics.healthChanged("stalled", "no-answer");
    const { text } = await metrics.read();
    assert.match(text, /^tokenwire_health_transitions_total\{verdict="stalled",reason="no-answer"\} 2$/m);
    assert.match(text, /^tokenwire_health_status\{service=""\} 1$/m);
    assert.match(text, /^tokenwire_health_status\{service="liveness"\} 0$/m);
    statuses.delete("liveness");
    assert.doesNotMatch((await metrics.read()).text, /liveness/);
  });
});

describe("the metrics port", () => {
  const loopback = { host: "127.0.0.1", port: 0 };

  it("serves them under /metrics, and says what else it has", async () => {
    const server = await startMetricsServer(
      createMetrics(() => []),
      loopback,
    );
    const url = `http://127.0.0.1:${server.port}`;
    const answer = await fetch(`${url}/metrics`);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    assert.match(await answer.text(), /# TYPE tokenwire_health_transitions_total counter/);
    assert.equal((await fetch(`${url}/`)).status, 404);
    assert.equal((await fetch(`${url}/metrics`, { method: "POST" })).status, 405);
    await server.close();
    await server.close();
    await assert.rejects(fetch(`${url}/metrics`));
  });

  it("answers 500 and goes on when a reading fails", async () => {
    const broken: Metrics = {
      read: () => Promise.reject(new Error("broken")),
      healthChanged: () => undefined,
      calls: new CallMetrics(),
    };
    const server = await startMetricsServer(broken, loopback);
    for (let i = 0; i < 2; i++) assert.equal((await fetch(`http://127.0.0.1:${server.port}/metrics`)).status, 500);
    await server.close();
  });

  it("rejects with the system's error when the port is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const bound = taken.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    await assert.rejects(
      startMetricsServer(
        createMetrics(() => []),
        { host: "127.0.0.1", port },
      ),
      { code: "EADDRINUSE" },
    );
    taken.close();
    await once(taken, "close");
  });
});
