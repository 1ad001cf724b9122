import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { logLevels } from "../operations/log.ts";
import { describeProgram, type Invocation, parseCommandLine } from "./command-line.ts";
import type { GenerateConfiguration, ProbeConfiguration, ServeConfiguration } from "./configuration.ts";
import { type Environment, environmentName } from "./flags.ts";
import { readPlainProbe } from "./probe-command-line.ts";
import { UsageError } from "./usage-error.ts";

function serve(words: readonly string[], environment: Environment = {}): ServeConfiguration {
  const invocation = parseCommandLine(["serve", ...words], environment);
  assert.equal(invocation.t, "serve");
  return (invocation as Extract<Invocation, { t: "serve" }>).configuration;
}

function probe(words: readonly string[], environment: Environment = {}): ProbeConfiguration {
  const invocation = parseCommandLine(["probe", ...words], environment);
  assert.equal(invocation.t, "probe");
  return (invocation as Extract<Invocation, { t: "probe" }>).configuration;
}

function generate(words: readonly string[], environment: Environment = {}): GenerateConfiguration {
  const invocation = parseCommandLine(["generate", ...words], environment);
  assert.equal(invocation.t, "generate");
  return (invocation as Extract<Invocation, { t: "generate" }>).configuration;
}

function refused(words: readonly string[], message: RegExp, environment: Environment = {}): void {
  assert.throws(() => parseCommandLine(words, environment), { name: "UsageError", message }, words.join(" "));
}

test("serve with a model alone has the documented defaults", () => {
  assert.deepEqual(serve(["models/tiny-f16.gguf"]), {
    engine: { t: "llama", modelPath: "models/tiny-f16.gguf" },
    host: "0.0.0.0",
    port: 50051,
    health: undefined,
    healthThresholds: {
      intervalMs: 1000,
      stallFloorMs: 5000,
      stallCeilingMs: 60_000,
      hangTimeoutMs: 120_000,
      startTimeoutMs: 600_000,
      canaryIntervalMs: 30_000,
      recoveryCount: 2,
      readyMaxWaiting: undefined,
    },
    healthAliases: [],
    metricsPort: undefined,
    servedModelName: "tiny-f16",
    maxModelLenTokens: undefined,
    maxNumSeqs: undefined,
    maxNumBatchedTokens: undefined,
    kvCacheMemoryBytes: undefined,
    threads: undefined,
    withdrawalGraceMs: 5000,
    drainTimeoutMs: 30_000,
    tls: undefined,
    maxMessageBytes: 64 * 1024 * 1024,
    maxConnections: 65_536,
    maxStreams: 16_384,
    maxWaitingRequests: 1024,
    maxQueuedPromptTokens: undefined,
    profileDir: undefined,
    logStats: true,
    logLevel: "info",
  });
});

interface ServeCase {
  readonly flag: string;
  readonly good: readonly [text: string, read: (configuration: ServeConfiguration) => unknown, value: unknown];
  readonly bad: string;
  readonly sentence: RegExp;
}

const serveCases: readonly ServeCase[] = [
  { flag: "--host", good: ["::1", (c) => c.host, "::1"], bad: "", sentence: /--host must be a text/ },
  {
    flag: "--port",
    good: ["0", (c) => c.port, 0],
    bad: "65536",
    sentence: /--port must be a whole number from 0 to 65535, not "65536"/,
  },
  {
    flag: "--max-connections",
    good: ["1", (c) => c.maxConnections, 1],
    bad: "0",
    sentence: /--max-connections must be a whole number from 1/,
  },
  {
    flag: "--max-streams",
    good: ["100", (c) => c.maxStreams, 100],
    bad: "0",
    sentence: /--max-streams must be a whole number from 1/,
  },
  {
    flag: "--served-model-name",
    good: ["m", (c) => c.servedModelName, "m"],
    bad: "",
    sentence: /--served-model-name must be/,
  },
  {
    flag: "--max-model-len",
    good: ["2K", (c) => c.maxModelLenTokens, 2048],
    bad: "0",
    sentence: /--max-model-len must be a whole number from 1/,
  },
  {
    flag: "--max-num-seqs",
    good: ["256", (c) => c.maxNumSeqs, 256],
    bad: "257",
    sentence: /--max-num-seqs must be a whole number from 1 to 256/,
  },
  {
    flag: "--max-num-batched-tokens",
    good: ["512", (c) => c.maxNumBatchedTokens, 512],
    bad: "-1",
    sentence: /--max-num-batched-tokens must be/,
  },
  {
    flag: "--kv-cache-memory-bytes",
    good: ["1G", (c) => c.kvCacheMemoryBytes, 2 ** 30],
    bad: "lots",
    sentence: /--kv-cache-memory-bytes must be/,
  },
  {
    flag: "--threads",
    good: ["4", (c) => c.threads, 4],
    bad: "0",
    sentence: /--threads must be a whole number from 1 to 1024/,
  },
  {
    flag: "--withdrawal-grace",
    good: ["0.5", (c) => c.withdrawalGraceMs, 500],
    bad: "5s",
    sentence: /--withdrawal-grace must be a number of seconds from 0 to 3600/,
  },
  {
    flag: "--drain-timeout",
    good: ["0", (c) => c.drainTimeoutMs, 0],
    bad: "-1",
    sentence: /--drain-timeout must be a number of seconds/,
  },
  {
    flag: "--max-message-bytes",
    good: ["0", (c) => c.maxMessageBytes, 0],
    bad: "4T",
    sentence: /--max-message-bytes must be/,
  },
  {
    flag: "--max-waiting-requests",
    good: ["10", (c) => c.maxWaitingRequests, 10],
    bad: "x",
    sentence: /--max-waiting-requests must be/,
  },
  {
    flag: "--max-queued-prompt-tokens",
    good: ["64K", (c) => c.maxQueuedPromptTokens, 65_536],
    bad: "0",
    sentence: /--max-queued-prompt-tokens must be/,
  },
  {
    flag: "--profile-dir",
    good: ["/tmp", (c) => c.profileDir, "/tmp"],
    bad: "/tmp/there-is-no-such-folder",
    sentence: /--profile-dir must be a folder that exists/,
  },
  {
    flag: "--health-port",
    good: ["50052", (c) => c.health, { host: "0.0.0.0", port: 50052 }],
    bad: "65536",
    sentence: /--health-port must be a whole number from 0 to 65535/,
  },
  {
    flag: "--health-interval",
    good: ["0.2", (c) => c.healthThresholds.intervalMs, 200],
    bad: "61",
    sentence: /--health-interval must be a number of seconds from 0.1 to 60/,
  },
  {
    flag: "--stall-floor",
    good: ["1.5", (c) => c.healthThresholds.stallFloorMs, 1500],
    bad: "0",
    sentence: /--stall-floor must be a number of seconds from 0.1 to 3600/,
  },
  {
    flag: "--hang-timeout",
    good: ["8", (c) => c.healthThresholds.hangTimeoutMs, 8000],
    bad: "2m",
    sentence: /--hang-timeout must be a number of seconds from 1 to 86400/,
  },
  {
    flag: "--start-timeout",
    good: ["1800", (c) => c.healthThresholds.startTimeoutMs, 1_800_000],
    bad: "0",
    sentence: /--start-timeout must be a number of seconds from 1 to 86400/,
  },
  {
    flag: "--canary-interval",
    good: ["0", (c) => c.healthThresholds.canaryIntervalMs, 0],
    bad: "-1",
    sentence: /--canary-interval must be a number of seconds from 0 to 86400/,
  },
  {
    flag: "--recovery-count",
    good: ["3", (c) => c.healthThresholds.recoveryCount, 3],
    bad: "0",
    sentence: /--recovery-count must be a whole number from 1 to 1000/,
  },
  {
    flag: "--ready-max-waiting",
    good: ["0", (c) => c.healthThresholds.readyMaxWaiting, 0],
    bad: "many",
    sentence: /--ready-max-waiting must be a whole number from 0 to 1000000/,
  },
  {
    flag: "--health-alias",
    good: ["my.Probe=liveness", (c) => c.healthAliases, [{ name: "my.Probe", class: "liveness" }]],
    bad: "my.Probe",
    sentence: /--health-alias must be NAME=readiness, NAME=liveness or NAME=overall/,
  },
  {
    flag: "--metrics-port",
    good: ["9090", (c) => c.metricsPort, 9090],
    bad: "65536",
    sentence: /--metrics-port must be a whole number from 0 to 65535/,
  },
  {
    flag: "--log-level",
    good: ["debug", (c) => c.logLevel, "debug"],
    bad: "loud",
    sentence: /--log-level must be debug, info, warn, error or silent/,
  },
  {
    flag: "--engine",
    good: ["mock", (c) => c.engine.t, "mock"],
    bad: "sglang",
    sentence: /--engine must be llama, mock or vllm/,
  },
];

for (const { flag, good, bad, sentence } of serveCases) {
  const [text, read, value] = good;

  test(`${flag} is read from the command line and from ${environmentName(flag)}, and a bad value is named`, () => {
    assert.deepEqual(read(serve(["m.gguf", flag, text])), value);
    assert.deepEqual(read(serve([`${flag}=${text}`, "m.gguf"])), value);
    assert.deepEqual(read(serve(["m.gguf"], { [environmentName(flag)]: text })), value);
    refused(["serve", "m.gguf", `${flag}=${bad}`], sentence);
    const inEnvironment = new RegExp(sentence.source.replace(flag, environmentName(flag)));
    refused(["serve", "m.gguf"], inEnvironment, { [environmentName(flag)]: bad });
    assert.deepEqual(read(serve(["m.gguf", flag, text], { [environmentName(flag)]: bad })), value);
  });
}

test("an on/off flag's variable says true or false", () => {
  assert.equal(serve(["m.gguf", "--disable-log-stats"]).logStats, false);
  assert.equal(serve(["m.gguf"], { TOKENWIRE_DISABLE_LOG_STATS: "true" }).logStats, false);
  assert.equal(serve(["m.gguf"], { TOKENWIRE_DISABLE_LOG_STATS: "false" }).logStats, true);
  refused(["serve", "m.gguf"], /TOKENWIRE_DISABLE_LOG_STATS must be true or false/, {
    TOKENWIRE_DISABLE_LOG_STATS: "x",
  });
});

test("the health port listens where the main port does, unless it is told where", () => {
  assert.deepEqual(serve(["m.gguf", "--host", "127.0.0.1", "--health-port", "1"]).health, {
    host: "127.0.0.1",
    port: 1,
  });
  assert.deepEqual(serve(["m.gguf", "--health-host", "::", "--health-port", "1"]).health, { host: "::", port: 1 });
  refused(["serve", "m.gguf", "--health-host", "::"], /^--health-host needs --health-port/);
});

test("health's times have an order, and the ceiling of a stall follows from them", () => {
  const order = /^--stall-floor \(120 s\) must be less than --hang-timeout \(120 s\)\.$/;
  refused(["serve", "m.gguf", "--stall-floor", "120"], order);
  refused(
    ["serve", "m.gguf", "--stall-floor", "1", "--hang-timeout", "2", "--health-interval", "2"],
    /--health-interval/,
  );
  const quick = serve(["m.gguf", "--stall-floor", "3", "--hang-timeout", "4"]);
  assert.equal(quick.healthThresholds.stallCeilingMs, 3000);
});

test("health aliases are names of their own, at most 28", () => {
  const alias = (name: string): string[] => ["--health-alias", `${name}=readiness`];
  for (const name of ["readiness", "liveness", "vllm.grpc.engine.VllmEngine"]) {
    refused(["serve", "m.gguf", ...alias(name)], /is there already/);
  }
  refused(["serve", "m.gguf", ...alias("a"), ...alias("a")], /the name "a" is there already/);
  refused(["serve", "m.gguf", ...alias("a b")], /--health-alias must be/);
  refused(["serve", "m.gguf", ...alias("")], /--health-alias must be/);
  const many = Array.from({ length: 29 }, (_, index) => alias(`a${index}`)).flat();
  refused(["serve", "m.gguf", ...many], /may be given 28 times, not 29/);
  assert.equal(serve(["m.gguf", ...many.slice(2)]).healthAliases.length, 28);
  assert.deepEqual(serve(["m.gguf", ...alias("a=b")]).healthAliases, [{ name: "a=b", class: "readiness" }]);
});

test("a TOKENWIRE_PORT that Kubernetes made for a Service is not taken for a port", () => {
  assert.equal(serve(["m.gguf"], { TOKENWIRE_PORT: "tcp://10.96.0.7:50051" }).port, 50051);
  assert.equal(serve(["m.gguf"], { TOKENWIRE_HEALTH_PORT: "tcp://10.96.0.7:50052" }).health, undefined);
  refused(["serve", "m.gguf", "--port", "tcp://10.96.0.7:50051"], /--port must be/);
});

test("the engine follows from the model's form, and the model may come from the environment", () => {
  assert.deepEqual(serve([], { TOKENWIRE_MODEL: "/m/x.gguf" }).engine, { t: "llama", modelPath: "/m/x.gguf" });
  assert.deepEqual(serve(["blob", "--engine", "llama"]).engine, { t: "llama", modelPath: "blob" });
  assert.deepEqual(serve(["--engine", "mock", "--mock-script", "s.json"]).engine, { t: "mock", scriptPath: "s.json" });
  assert.equal(serve(["--engine", "mock"]).servedModelName, "mock");
  refused(["serve"], /^serve needs a MODEL/);
  refused(["serve", "Qwen/Qwen3-0.6B"], /downloads nothing/);
  refused(["serve", "m.gguf", "--mock-script", "s.json"], /^--mock-script needs --engine mock/);
  refused(["serve", "a.gguf", "b.gguf"], /too many arguments/);
});

test("probe alone asks localhost:50051 as a whole for a second", () => {
  assert.deepEqual(probe([]), {
    host: "localhost",
    port: 50051,
    service: "",
    connectTimeoutMs: 1000,
    rpcTimeoutMs: 1000,
    userAgent: "tokenwire_probe",
    headers: [],
    verbose: false,
    watch: undefined,
    tls: undefined,
  });
});

test("probe's watch is read with what it waits for, and for how long", () => {
  assert.deepEqual(probe(["--watch"]).watch, { until: undefined, timeoutMs: undefined });
  assert.deepEqual(probe(["-watch", "-until=serving", "-timeout", "90s", "-v"]).watch, {
    until: "SERVING",
    timeoutMs: 90_000,
  });
  assert.equal(probe(["--watch", "--until", "not-serving"]).watch?.until, "NOT_SERVING");
  assert.equal(probe(["-v"]).verbose, true);
  assert.equal(probe(["--verbose"]).verbose, true);
  refused(["probe", "--until", "serving"], /^--until needs --watch/);
  refused(["probe", "--timeout", "1s"], /^--timeout needs --watch/);
  refused(["probe", "--watch", "--until", "SERVING"], /^--until must be serving or not-serving, not "SERVING"/);
});

test("plain words of a probe are read without commander to the same end as with it", () => {
  const word = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom("--tls", "-v", "--verbose", "--watch", "--tls-no-verify") },
    {
      weight: 6,
      arbitrary: fc.constantFrom(
        ...["--addr=:1", "-addr", ":2", "--service", "a", "--service=", "--rpc-timeout", "2s", "-rpc-timeout=1ms"],
        ...["--rpc-header", "a: b", "--rpc-header=b: c", "--until", "serving", "--timeout=1m", "--tls-ca-cert", "x"],
      ),
    },
    fc.constantFrom("-h", "--help", "--", "-", "x", "-v=1", "--tls=1", "-vv", "--no-such", "=", "", "--addr", "-tls"),
  );
  const variables = fc.dictionary(fc.constantFrom("TOKENWIRE_ADDR", "TOKENWIRE_WATCH"), fc.constantFrom("a:1", "true"));
  const outcome = (read: () => unknown): unknown => {
    try {
      return read();
    } catch (thrown) {
      assert.ok(thrown instanceof UsageError, String(thrown));
      return thrown.message;
    }
  };
  let plain = 0;
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), variables, (words, environment) => {
      const read = outcome(() => readPlainProbe(words, environment));
      if (read === undefined) return;
      plain++;
      const invocation = outcome(() => parseCommandLine(["probe", ...words], environment));
      assert.deepEqual(typeof read === "string" ? read : { t: "probe", configuration: read }, invocation);
    }),
    { numRuns: 1000 },
  );
  assert.ok(plain > 300, `${plain} of 1000 were plain`);
});

test("probe takes grpc_health_probe's flags, with one dash too", () => {
  const words = "--addr=:5000 --service readiness --connect-timeout 250ms --rpc-timeout 2s --user-agent me".split(" ");
  const expected = {
    host: "localhost",
    port: 5000,
    service: "readiness",
    connectTimeoutMs: 250,
    rpcTimeoutMs: 2000,
    userAgent: "me",
    verbose: false,
    watch: undefined,
    tls: undefined,
  };
  assert.deepEqual(probe(words), { ...expected, headers: [] });
  const oneDash = words.map((word) => word.replace(/^--/, "-"));
  assert.deepEqual(probe([...oneDash, "-rpc-header", "X-A: 1", "-rpc-header=b:"]), {
    ...expected,
    headers: [
      { name: "x-a", value: "1" },
      { name: "b", value: "" },
    ],
  });
  assert.equal(probe([], { TOKENWIRE_ADDR: "a:1" }).host, "a");
});

test("probe's TLS flags need one another as in grpc_health_probe", () => {
  const tls = (...words: string[]): ProbeConfiguration["tls"] => probe(["--tls", ...words]).tls;
  assert.deepEqual(tls(), { caCertPath: undefined, client: undefined, verify: true, serverName: undefined });
  assert.deepEqual(
    tls("--tls-ca-cert", "ca", "--tls-client-cert", "c", "--tls-client-key", "k", "--tls-server-name", "n"),
    {
      caCertPath: "ca",
      client: { certPath: "c", keyPath: "k" },
      verify: true,
      serverName: "n",
    },
  );
  assert.equal(tls("--tls-no-verify")?.verify, false);
  refused(["probe", "--tls-ca-cert", "ca"], /^--tls-ca-cert needs --tls/);
  refused(["probe", "--tls", "--tls-no-verify", "--tls-ca-cert", "ca"], /exclude each other/);
  refused(["probe", "--tls", "--tls-client-cert", "c"], /^--tls-client-cert needs --tls-client-key/);
  refused(["probe", "--tls", "--tls-client-key", "k"], /^--tls-client-key needs --tls-client-cert/);
});

test("probe refuses headers that would break the call", () => {
  for (const header of ["nocolon", ": v", "te: trailers", "grpc-timeout: 1S", "x-bin: AA", "a: \u00e9", ":path: /"]) {
    refused(["probe", "--rpc-header", header], /--rpc-header must be "name: value"/);
  }
});

test("generate reads its flags", () => {
  const defaults = generate(["hi"]);
  assert.deepEqual(defaults, {
    text: "hi",
    host: "localhost",
    port: 50051,
    maxTokens: 256,
    temperature: 0,
    topP: undefined,
    topK: undefined,
    seed: undefined,
    stop: [],
    system: undefined,
    raw: false,
    timeoutMs: undefined,
    json: false,
    verbose: false,
  });
  const words =
    "--addr a:1 --max-tokens 7 --temperature 0.7 --top-p 0.9 --top-k 40 --seed -3 --stop x --stop y --system s --timeout 1.5 --json --verbose";
  assert.deepEqual(generate(["hi", ...words.split(" ")]), {
    ...defaults,
    host: "a",
    port: 1,
    maxTokens: 7,
    temperature: 0.7,
    topP: 0.9,
    topK: 40,
    seed: -3,
    stop: ["x", "y"],
    system: "s",
    timeoutMs: 1500,
    json: true,
    verbose: true,
  });
  assert.equal(generate(["hi", "--raw"]).raw, true);
  assert.deepEqual(generate(["hi"], { TOKENWIRE_STOP: "z" }).stop, ["z"]);
});

test("generate refuses what cannot be asked", () => {
  refused(["generate"], /^missing required argument 'TEXT'\.$/);
  refused(["generate", ""], /^TEXT must not be empty/);
  refused(["generate", "a", "--raw", "--system", "s"], /exclude each other/);
  refused(["generate", "a", "--top-p", "0"], /^--top-p must be above 0/);
  refused(["generate", "a", "--temperature", "3"], /^--temperature must be a number from 0 to 2/);
  refused(["generate", "a", "--stop", ""], /^--stop must not be empty/);
  refused(["generate", "a", "--max-tokens", "0"], /^--max-tokens must be a whole number from 1/);
});

test("no command and an unknown command are told what there is", () => {
  refused([], /serve, probe or generate/);
  refused(["srve"], /./);
});

test("help and version go to standard output and are no error", () => {
  const facts = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  assert.deepEqual(parseCommandLine(["--version"], {}), { t: "text", text: `${facts.version}\n` });
  for (const words of [["--help"], ["serve", "--help"], ["probe", "-h"], ["generate", "--help"]]) {
    const invocation = parseCommandLine(words, {});
    assert.ok(invocation.t === "text" && invocation.text.startsWith("Usage: tokenwire"), words.join(" "));
  }
});

test("every flag is in its command's help, under a heading, with a description", () => {
  for (const command of describeProgram().commands) {
    const help = command.helpInformation();
    for (const option of command.options) {
      assert.ok(help.includes(option.flags), option.flags);
      assert.ok(option.description.length > 5, option.flags);
      assert.ok((option.helpGroupHeading ?? "") !== "", option.flags);
    }
  }
});

test("the levels of --log-level are the logger's", () => {
  for (const level of logLevels) assert.equal(serve(["m.gguf", "--log-level", level]).logLevel, level);
  refused(
    ["serve", "m.gguf", "--log-level", "x"],
    new RegExp(`${logLevels.slice(0, -1).join(", ")} or ${logLevels.at(-1)}`),
  );
});

test("whatever the words and the environment, the answer is an invocation or a UsageError of one line", () => {
  const flags = describeProgram().commands.flatMap((command) => command.options.map((option) => option.long ?? ""));
  const value = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.integer().map(String),
    fc.constantFrom("m.gguf", "mock", "1s", "a:1", "--", "-", "-1", "0.5", "8K", "__proto__", "x: y"),
  );
  const flag = fc.constantFrom(...flags, "--help", "--dtype", "-tp", "--constructor", "--__proto__");
  const word = fc.oneof(
    flag,
    value,
    fc.tuple(flag, value).map(([name, text]) => `${name}=${text}`),
  );
  const argv = fc.tuple(fc.constantFrom("serve", "probe", "generate", "help", ""), fc.array(word, { maxLength: 6 }));
  const environment = fc.dictionary(fc.constantFrom(...flags.map(environmentName), "TOKENWIRE_MODEL"), value, {
    maxKeys: 3,
  });
  let invocations = 0;
  fc.assert(
    fc.property(argv, environment, ([command, words], variables) => {
      try {
        assert.ok(["serve", "probe", "generate", "text"].includes(parseCommandLine([command, ...words], variables).t));
        invocations++;
      } catch (thrown) {
        assert.ok(thrown instanceof UsageError, String(thrown));
        assert.ok(thrown.message.length > 0 && !thrown.message.includes("\n"), thrown.message);
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(invocations > 0);
});

test("serve takes a certificate with its key, and says what is missing", () => {
  const paths = { certPath: "c.pem", keyPath: "k.pem", clientCaPath: "ca.pem" };
  const words = ["--tls-cert", "c.pem", "--tls-key", "k.pem", "--tls-client-ca", "ca.pem"];
  assert.deepEqual(serve(["m.gguf", ...words]).tls, paths);
  assert.equal(serve(["m.gguf", ...words.slice(0, 4)]).tls?.clientCaPath, undefined);
  refused(["serve", "m.gguf", "--tls-cert", "c.pem"], /--tls-cert needs --tls-key\./);
  refused(["serve", "m.gguf", "--tls-key", "k.pem"], /--tls-key needs --tls-cert\./);
  refused(["serve", "m.gguf", "--tls-client-ca", "ca.pem"], /--tls-client-ca needs --tls-cert and --tls-key\./);
});
