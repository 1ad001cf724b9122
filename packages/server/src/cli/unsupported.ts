/**
 * Flags of `vllm serve` that are recognised and not done, each with the sentence that answers it (names from vLLM's
 * arg_utils.py and cli_args.py). So a moved command line fails with a reason and not as a typing error.
 *
 * A sentence says why, or what to use instead; it is put after "--flag is a vLLM flag that tokenwire does not have: ".
 */
const behindDashes = "with --engine vllm, vLLM's own flags go behind --.";
const oneMachine = `the llama engine runs in one process on one machine; ${behindDashes}`;
const noGpu = `the llama engine computes on the CPU; ${behindDashes}`;
const inFile = `the GGUF file decides that; ${behindDashes}`;
const noLora = `the llama engine loads no adapters, merge them into the GGUF file; ${behindDashes}`;
const noHttp = "tokenwire speaks gRPC only; an OpenAI-compatible gateway in front has that.";
const noAuth = "tokenwire does not authenticate clients; put a gateway or a network policy in front.";
const noTls = "TLS is --tls-cert, --tls-key and --tls-client-ca; files that change are read again.";
const noDownload = "tokenwire loads local files and downloads nothing.";
const noMedia = "only text models are served.";
const noSpeculation = `the llama engine does not decode speculatively; ${behindDashes}`;
const inRequest = "clients give sampling and constraints with each request.";
const inGateway =
  "chat templates, tools and reasoning are parsed by the gateway or the client, which work with token ids.";
const noTuning = `--max-num-seqs and --max-num-batched-tokens are there; ${behindDashes}`;
const noKv = `--kv-cache-memory-bytes and --max-model-len are there; ${behindDashes}`;

const sentences: ReadonlyMap<string, string> = new Map(
  [
    [
      oneMachine,
      "--tensor-parallel-size -tp --pipeline-parallel-size -pp -dp --data-parallel-rank -dpn --data-parallel-start-rank -dpr --data-parallel-size-local -dpl --data-parallel-address -dpa --data-parallel-rpc-port -dpp --data-parallel-backend -dpb --data-parallel-hybrid-lb --data-parallel-external-lb --distributed-executor-backend --enable-expert-parallel -ep --max-parallel-loading-workers --ray-workers-use-nsight --disable-custom-all-reduce --nnodes --node-rank --master-addr --master-port --headless --decode-context-parallel-size -dcp --prefill-context-parallel-size -pcp --enable-eplb --eplb-config --worker-cls --worker-extension-cls --kv-transfer-config --api-server-count -asc",
    ],
    [
      noGpu,
      "--gpu-memory-utilization --device --enforce-eager --no-enforce-eager --cuda-graph-sizes --cudagraph-capture-sizes --max-cudagraph-capture-size --compilation-config -cc -O --cpu-offload-gb --num-gpu-blocks-override --attention-backend --attention-config --moe-backend --enable-sleep-mode --enable-dbo --async-scheduling --no-async-scheduling",
    ],
    [
      inFile,
      "--dtype --quantization -q --load-format --model-impl --hf-overrides --rope-scaling --rope-theta --config-format --hf-config-path --model-loader-extra-config --override-generation-config --generation-config",
    ],
    [
      noLora,
      "--enable-lora --max-loras --max-lora-rank --lora-modules --lora-dtype --max-cpu-loras --fully-sharded-loras --lora-extra-vocab-size --enable-lora-bias",
    ],
    [
      noHttp,
      "--uvicorn-log-level --disable-uvicorn-access-log --allow-credentials --allowed-origins --allowed-methods --allowed-headers --root-path --middleware --disable-fastapi-docs --enable-request-id-headers --h11-max-incomplete-event-size --h11-max-header-count --disable-frontend-multiprocessing --uds --response-role --return-tokens-as-token-ids --enable-server-load-tracking --enable-prompt-tokens-details --enable-force-include-usage --enable-tokenizer-info-endpoint",
    ],
    [noAuth, "--api-key"],
    [noTls, "--ssl-keyfile --ssl-certfile --ssl-ca-certs --ssl-cert-reqs --enable-ssl-refresh"],
    [
      noDownload,
      "--download-dir --revision --code-revision --tokenizer-revision --hf-token --trust-remote-code --no-trust-remote-code --safetensors-load-strategy --ignore-patterns --use-tqdm-on-load",
    ],
    ["the tokenizer is the one in the GGUF file.", "--tokenizer --tokenizer-mode --skip-tokenizer-init"],
    [
      noMedia,
      "--limit-mm-per-prompt --mm-processor-kwargs --mm-processor-cache-gb --mm-processor-cache-type --media-io-kwargs --allowed-local-media-path --allowed-media-domains --interleave-mm-strings --mm-encoder-tp-mode --skip-mm-profiling --language-model-only --enable-mm-embeds --video-pruning-rate",
    ],
    [noSpeculation, "--speculative-config -sc --spec-method --spec-model --spec-tokens"],
    [
      inRequest,
      "--guided-decoding-backend --structured-outputs-config --logits-processors --max-logprobs --logprobs-mode --logits-processor-pattern --seed",
    ],
    [
      inGateway,
      "--chat-template --chat-template-content-format --trust-request-chat-template --enable-auto-tool-choice --tool-call-parser --tool-parser-plugin --tool-server --reasoning-parser --reasoning-parser-plugin --exclude-tools-when-tool-choice-none --default-chat-template-kwargs",
    ],
    [
      noTuning,
      "--scheduling-policy --enable-chunked-prefill --no-enable-chunked-prefill --max-num-partial-prefills --max-long-partial-prefills --long-prefill-token-threshold --preemption-mode --scheduler-cls --scheduler-delay-factor --stream-interval --num-scheduler-steps --multi-step-stream-outputs --disable-hybrid-kv-cache-manager",
    ],
    [
      noKv,
      "--block-size --kv-cache-dtype --swap-space --enable-prefix-caching --no-enable-prefix-caching --prefix-caching-hash-algo --calculate-kv-scales --kv-events-config --kv-offloading-size --kv-offloading-backend --mamba-cache-dtype --mamba-block-size --disable-sliding-window --disable-cascade-attn",
    ],
    [
      "the model answers as what it is: text generation, and embeddings through the Embed call.",
      "--task --runner --convert --pooler-config --override-pooler-config",
    ],
    [
      "requests are not logged; --log-level is there.",
      "--enable-log-requests --disable-log-requests --max-log-len --enable-log-outputs --enable-log-deltas --log-config-file --log-error-stack",
    ],
    [
      "there is no such telemetry yet.",
      "--otlp-traces-endpoint --collect-detailed-traces --show-hidden-metrics-for-version --kv-cache-metrics --cudagraph-metrics --enable-mfu-metrics --profiler-config --aggregate-engine-logging",
    ],
    ["give the model as the first argument: tokenwire serve MODEL.", "--model"],
    ["settings come from flags and TOKENWIRE_* variables.", "--config --additional-config"],
    ["tokenwire serve always speaks gRPC.", "--grpc"],
  ].flatMap(([sentence = "", names = ""]) => names.split(" ").map((name) => [name, sentence] as const)),
);

/** The flags of the table, for the tests and the documentation. */
export const unsupportedFlags: readonly string[] = [...sentences.keys()];

/**
 * Answers the sentence for a flag as it was typed (`--dtype`, `--dtype=float16`, `--tensor_parallel_size`, `-tp=2`,
 * `--compilation-config.mode`), or undefined for a flag that vLLM does not have either.
 */
export function unsupportedSentence(typed: string): string | undefined {
  const name = (typed.split(/[=.]/, 1)[0] ?? "").replaceAll("_", "-");
  const sentence = sentences.get(name) ?? sentences.get(/^-[A-Za-z]/.exec(typed)?.[0] === "-O" ? "-O" : name);
  return sentence === undefined ? undefined : `${name} is a vLLM flag that tokenwire does not have: ${sentence}`;
}
