import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { run } from "../harness/processes.ts";
import { root } from "../harness/server.ts";
import { kubernetesValidate, program } from "../harness/tools.ts";
import { deployedPod, deployment, manifestPorts, manifests, type Pod, validate } from "./manifests.ts";

/** Defaults of `serve` that the manifests are made for; a test below holds them to `serve --help`. */
const withdrawalGraceSeconds = 5;
const drainTimeoutSeconds = 30;
const engineCloseSeconds = 10;

describe("the manifests", () => {
  for (const version of ["1.34", "1.37"]) {
    test(`pass the schemas of Kubernetes ${version}, unknown fields refused`, async () => {
      const { code, stdout, stderr } = await schemaCheck(version, manifests);
      assert.equal(code, 0, stdout + stderr);
    });
  }

  test("pass the API server's own validation without a warning", async () => {
    const verdicts = await validate(manifests.map((file) => join(root, file)));
    assert.deepEqual(
      verdicts.map(({ kind, name, errors, warnings }) => ({ kind, name, errors, warnings })),
      [
        { kind: "Deployment", name: "tokenwire", errors: [], warnings: [] },
        { kind: "PersistentVolumeClaim", name: "tokenwire-models", errors: [], warnings: [] },
        { kind: "PodDisruptionBudget", name: "tokenwire", errors: [], warnings: [] },
        { kind: "Service", name: "tokenwire", errors: [], warnings: [] },
      ],
    );
  });
});

describe("a mistake in the Deployment is refused by", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tokenwire-manifests-"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const mistakes: readonly { what: string; from: string; to: string; error: RegExp; bySchema: boolean }[] = [
    { what: "an unknown field", from: "grpc:", to: "gprc:", error: /unknown field.*gprc/, bySchema: true },
    { what: "a port that is a text", from: "port: 50052", to: "port: health", error: /port/, bySchema: true },
    {
      what: "a port out of range",
      from: "port: 50052",
      to: "port: 590510",
      error: /between 1 and 65535/,
      bySchema: false,
    },
    {
      what: "a success threshold on liveness",
      from: "failureThreshold: 3",
      to: "successThreshold: 3",
      error: /livenessProbe\.successThreshold.*must be 1/,
      bySchema: false,
    },
    {
      what: "a selector that does not match the pods",
      from: "matchLabels:\n      app.kubernetes.io/name: tokenwire",
      to: "matchLabels:\n      app.kubernetes.io/name: other",
      error: /selector.*does not match template/,
      bySchema: false,
    },
  ];
  for (const { what, from, to, error, bySchema } of mistakes) {
    test(`the API's validation${bySchema ? " and the schema" : ""}: ${what}`, async () => {
      const right = readFileSync(deployment, "utf8");
      assert.ok(right.includes(from));
      const file = join(folder, "wrong.yaml");
      writeFileSync(file, right.replace(from, to));
      const [verdict] = await validate([file]);
      assert.match(verdict?.errors.join("\n") ?? "", error);
      if (bySchema) assert.notEqual((await schemaCheck("1.34", [file])).code, 0);
    });
  }
});

describe("the numbers of the Deployment add up:", () => {
  let spec: Pod["spec"];
  let container: Pod["spec"]["containers"][0];
  let help: string;
  before(async () => {
    ({ spec } = await deployedPod());
    [container] = spec.containers;
    const bin = join(root, "packages", "server", "bin", "tokenwire.mjs");
    ({ stdout: help } = await run(process.execPath, [bin, "serve", "--help"]));
  });

  test("the pod is given longer to stop than the server takes at most", () => {
    const longest = withdrawalGraceSeconds + drainTimeoutSeconds + engineCloseSeconds;
    assert.ok(spec.terminationGracePeriodSeconds > longest);
    assert.equal(container.lifecycle, undefined, "a preStop hook's time would count too");
  });

  test("readiness is off before the server refuses new requests", () => {
    const { periodSeconds, failureThreshold } = container.readinessProbe;
    assert.ok(periodSeconds * failureThreshold < withdrawalGraceSeconds);
  });

  test("they are made for the defaults of serve", () => {
    assert.equal(fallback("--withdrawal-grace"), withdrawalGraceSeconds);
    assert.equal(fallback("--drain-timeout"), drainTimeoutSeconds);
    assert.deepEqual(
      container.args.filter((arg) => /grace|timeout|floor|interval/.test(arg)),
      [],
      "a flag that changes a time would have to be part of these sums",
    );
  });

  test("the engine is found hung by the server first and then by the kubelet", () => {
    const { periodSeconds, failureThreshold } = container.livenessProbe;
    assert.ok(periodSeconds * failureThreshold < fallback("--hang-timeout"));
  });

  test("a rollout waits longer than the start limit of the engine", () => {
    const rolloutSeconds = Number(/progressDeadlineSeconds: (\d+)/.exec(readFileSync(deployment, "utf8"))?.[1]);
    assert.ok(rolloutSeconds > fallback("--start-timeout"));
  });

  test("every probe asks the health port, which stays open until the process ends", () => {
    const { startupProbe, readinessProbe, livenessProbe } = container;
    assert.deepEqual(startupProbe.grpc, { port: manifestPorts.health, service: "liveness" });
    assert.deepEqual(readinessProbe.grpc, { port: manifestPorts.health, service: "readiness" });
    assert.deepEqual(livenessProbe.grpc, { port: manifestPorts.health, service: "liveness" });
    assert.deepEqual(
      Object.fromEntries(container.ports.map(({ name, containerPort }) => [name, containerPort])),
      manifestPorts,
    );
  });

  test("no variables of a Service reach the flags", () => {
    assert.equal(spec.enableServiceLinks, false);
  });

  /** Seconds that a flag of `serve` has by default, as its help says. */
  function fallback(flag: string): number {
    const entry = new RegExp(`^ +${flag} <[a-z]+>(?:(?!\\n +--)[\\s\\S])*?\\(default:\\s+(\\d+)\\)`, "m").exec(help);
    assert.ok(entry !== null, `serve --help has no default of ${flag}`);
    return Number(entry[1]);
  }
});

function schemaCheck(version: string, files: readonly string[]): ReturnType<typeof run> {
  const paths = files.map((file) => resolve(root, file));
  return run(program(kubernetesValidate, "kubernetes-validate"), ["--strict", "-k", version, ...paths]);
}
