import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { join } from "node:path";
import { run } from "../harness/processes.ts";
import { root } from "../harness/server.ts";
import { kubeletProbes, program } from "../harness/tools.ts";

/** The manifests, with paths from the repository's root. */
export const manifests: readonly string[] = globSync("deploy/kubernetes/*.yaml", { cwd: root }).sort();
export const deployment: string = join(root, "deploy", "kubernetes", "deployment.yaml");

/** Ports of the manifest. */
export const manifestPorts = { grpc: 50051, health: 50052 } as const;

export interface Probe {
  readonly grpc: { readonly port: number; readonly service: string };
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

/** The part of a pod that the tests read, with the API's defaults. */
export interface Pod {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly terminationGracePeriodSeconds: number;
    readonly enableServiceLinks: boolean;
    readonly containers: readonly [
      {
        readonly command: readonly string[];
        readonly args: readonly string[];
        readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
        readonly lifecycle?: unknown;
        readonly startupProbe: Probe;
        readonly readinessProbe: Probe;
        readonly livenessProbe: Probe;
      },
    ];
  };
}

/** The pod that a cluster would make of the Deployment. */
export async function deployedPod(): Promise<Pod> {
  const { code, stdout, stderr } = await run(program(kubeletProbes), ["pod", deployment]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** What the API server would say to one object. */
export interface Verdict {
  readonly file: string;
  readonly kind: string;
  readonly name: string;
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** Puts the API's own validation to every object in the files. */
export async function validate(files: readonly string[]): Promise<Verdict[]> {
  const { stdout, stderr } = await run(program(kubeletProbes), ["validate", ...files]);
  assert.notEqual(stdout, "", stderr);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}
