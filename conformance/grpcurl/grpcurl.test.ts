import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Ended, run } from "../harness/processes.ts";
import { engineService, root, type Server, startServer } from "../harness/server.ts";
import { grpcurl, program } from "../harness/tools.ts";

const protos = join(root, "proto");
const health = "grpc.health.v1.Health";
const services = [
  health,
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  engineService,
];

let server: Server;
before(async () => {
  server = await startServer(["--withdrawal-grace", "3"]);
});
after(() => server?.kill());

/** Calls a method through reflection, or with `flags` such as `-proto`. */
const call = (method: string, request: unknown, ...flags: string[]): Promise<Ended> =>
  run(program(grpcurl), [
    "-plaintext",
    "-max-time",
    "30",
    ...flags,
    "-d",
    JSON.stringify(request),
    server.target,
    method,
  ]);
const ask = (...args: string[]): Promise<Ended> => run(program(grpcurl), ["-plaintext", server.target, ...args]);

test("list names every service", async () => {
  const { code, stdout, stderr } = await ask("list");
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout.trim().split("\n"), services);
});

for (const version of ["v1", "v1alpha"]) {
  test(`reflection ${version}, called by its own proto file, lists the services`, async () => {
    const file = `grpc/reflection/${version}/reflection.proto`;
    const method = `grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const { code, stdout, stderr } = await call(method, { list_services: "" }, "-import-path", protos, "-proto", file);
    assert.equal(code, 0, stderr);
    const names = JSON.parse(stdout).listServicesResponse.service.map((entry: { name: string }) => entry.name);
    assert.deepEqual(names, services);
  });
}

for (const service of services) {
  test(`${service} is described with its methods`, async () => {
    const { code, stdout, stderr } = await ask("describe", service);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /rpc \w+ \( (stream )?\.[\w.]+ \) returns/);
  });
}

for (const file of globSync("**/*.proto", { cwd: protos }).sort()) {
  test(`every message and enum of ${file} can be described`, async () => {
    const source = readFileSync(join(protos, file), "utf8");
    const scope = /^package ([\w.]+);/m.exec(source)?.[1];
    const types = [...source.matchAll(/^(?:message|enum) (\w+)/gm)].map((match) => `${scope}.${match[1]}`);
    assert.ok(types.length > 0);
    for (const type of types) {
      const { code, stderr } = await ask("describe", type);
      assert.equal(code, 0, `${type}: ${stderr}`);
    }
  });
}

test("messages with map fields keep them as maps", async () => {
  const list = await ask("describe", "grpc.health.v1.HealthListResponse");
  assert.match(list.stdout, /map<string, \.?grpc\.health\.v1\.HealthCheckResponse> statuses = 1/);
  const sampling = await ask("describe", "vllm.grpc.engine.SamplingParams");
  assert.match(sampling.stdout, /map<int32, float> logit_bias = 26/);
});

test("a symbol that does not exist is refused", async () => {
  const { code, stderr } = await ask("describe", "no.such.Symbol");
  assert.notEqual(code, 0);
  assert.match(stderr, /Symbol not found|NotFound/i);
});

test("Check answers SERVING for the registered names", async () => {
  for (const service of ["", engineService, "readiness"]) {
    const { code, stdout, stderr } = await call(`${health}/Check`, { service });
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { status: "SERVING" });
  }
});

test("List answers the status of every name", async () => {
  const { code, stdout, stderr } = await call(`${health}/List`, {});
  assert.equal(code, 0, stderr);
  const { statuses } = JSON.parse(stdout);
  for (const service of ["", engineService, "readiness"]) assert.equal(statuses[service]?.status, "SERVING");
});

test("Watch answers at once and stays open until the client's deadline", async () => {
  const { code, stdout } = await call(`${health}/Watch`, { service: engineService }, "-max-time", "1");
  assert.equal(code, 68, "64 + DEADLINE_EXCEEDED");
  assert.deepEqual(messages(stdout), [{ status: "SERVING" }]);
});

test("Watch of an unknown name answers SERVICE_UNKNOWN and stays open", async () => {
  const { code, stdout } = await call(`${health}/Watch`, { service: "no.such.Service" }, "-max-time", "1");
  assert.equal(code, 68, "64 + DEADLINE_EXCEEDED");
  assert.deepEqual(messages(stdout), [{ status: "SERVICE_UNKNOWN" }]);
});

const prompt = {
  text: "The capital of France is",
  sampling_params: { temperature: 0, max_tokens: 8, ignore_eos: true },
};

test("Generate answers one Complete when the request does not stream", async () => {
  const { code, stdout, stderr } = await call(`${engineService}/Generate`, { request_id: "curl-1", ...prompt });
  assert.equal(code, 0, stderr);
  const [answer, ...more] = messages(stdout) as { complete: { outputIds: number[]; finishReason: string } }[];
  assert.deepEqual(more, []);
  assert.equal(answer?.complete.outputIds.length, 8);
  assert.equal(answer?.complete.finishReason, "length");
});

test("Generate streams chunks that add up to the tokens asked for", async () => {
  const { code, stdout, stderr } = await call(`${engineService}/Generate`, {
    request_id: "curl-2",
    stream: true,
    ...prompt,
  });
  assert.equal(code, 0, stderr);
  const answers = messages(stdout) as { chunk?: { tokenIds: number[] }; complete?: { promptTokens: number } }[];
  assert.equal(answers.flatMap(({ chunk }) => chunk?.tokenIds ?? []).length, 8);
  assert.ok((answers.at(-1)?.complete?.promptTokens ?? 0) > 0, "the last message is the Complete with its usage");
});

for (const rpc of ["HealthCheck", "GetModelInfo", "GetServerInfo", "GetLoads"]) {
  test(`${rpc} answers through reflection`, async () => {
    const { code, stdout, stderr } = await call(`${engineService}/${rpc}`, {});
    assert.equal(code, 0, stderr);
    assert.notDeepEqual(JSON.parse(stdout), {});
  });
}

const refused: [string, number, string, unknown, RegExp][] = [
  ["a health name that nobody registered", 69, `${health}/Check`, { service: "no.such.Service" }, /NotFound/],
  ["a prompt without anything", 67, `${engineService}/Generate`, { request_id: "curl-3" }, /InvalidArgument/],
  [
    "top_p out of its range, named with its value",
    67,
    `${engineService}/Generate`,
    { request_id: "curl-4", text: "a", sampling_params: { top_p: 1.5 } },
    /InvalidArgument[\s\S]*top_p[\s\S]*1\.5/,
  ],
  [
    "a token id outside the vocabulary",
    67,
    `${engineService}/Generate`,
    { request_id: "curl-5", tokenized: { input_ids: [1, 999_999] } },
    /InvalidArgument[\s\S]*999999/,
  ],
];
for (const [what, expected, method, request, sentence] of refused) {
  test(`the exit code is 64 + the status for ${what}`, async () => {
    const { code, stderr } = await call(method, request);
    assert.equal(code, expected, stderr);
    assert.match(stderr, sentence);
  });
}

test("a method that does not exist is UNIMPLEMENTED", async () => {
  // The service as another version of the protocol might have it.
  const file = join(import.meta.dirname, "newer.proto");
  const flags = ["-import-path", import.meta.dirname, "-proto", file];
  const { code, stderr } = await call(`${engineService}/Levitate`, {}, ...flags);
  assert.equal(code, 76, stderr);
});

test("a watcher hears NOT_SERVING on SIGTERM before its stream ends", async () => {
  const watching = call(`${health}/Watch`, { service: engineService });
  await until(async () => (await ask("list")).code === 0);
  server.signal("SIGTERM");
  const { stdout, code } = await watching;
  const statuses = messages(stdout).map((message) => (message as { status: string }).status);
  assert.deepEqual(statuses.slice(-1), ["NOT_SERVING"]);
  assert.notEqual(code, 68, "the server ends the watch, not the client's deadline");
  assert.equal(await server.exited(), 0);
});

/** grpcurl prints the messages of a stream as JSON objects one after the other. */
function messages(output: string): unknown[] {
  return output
    .split(/^(?=\{)/m)
    .filter((text) => text.trim() !== "")
    .map((text) => JSON.parse(text));
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds()));
}
