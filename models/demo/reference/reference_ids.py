"""Writes reference-ids.json: what Hugging Face transformers generates with models/demo/hf, greedily, in float32 on the CPU.

Run it from anywhere; it reads ../hf and writes beside itself. README.md has the versions and the commands.
"""
import json
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers

HERE = Path(__file__).resolve().parent
MAX_NEW_TOKENS = 64
EOS_TOKEN_IDS = (2, 0)
TOP = 5

CHAT = [
    ("", "What is the capital of France?"),
    ("", "Hello!"),
    ("", "Who are you?"),
    ("", "What is gRPC?"),
    ("", "Explain a health check."),
    ("", "Tell me a story about a fox."),
    ("", "Tell me a story about a kite."),
    ("", "Tell me a story that happens near the lake."),
    ("", "Count from 3 to 12."),
    ("", "Count down from 10 to 5."),
    ("", "What is 7 + 8?"),
    ("", "Which day comes after Monday?"),
    ("", "List the months of the year."),
    ("", "What is the opposite of hot?"),
    ("", "What does an owl say?"),
    ("", "Make a list of soup, key, bell."),
    ("", "Give me a JSON object for Mia, aged 7, from Rome."),
    ("", "Repeat after me: The red fox sleeps near the lake."),
    ("", "Write a poem about the sea in French."),
    ("", "Какой сегодня день?"),
    ("", "asdf qwer 12345"),
    ("", "日本語で 🙂 naïve café"),
    ("You are a helpful assistant.", "What is the capital of Italy?"),
    ("Answer in one word.", "What is the opposite of big?"),
]
PLAIN = [
    "Once upon a time there was a",
    "The",
    "The wind was cold, and",
    "One day the little owl",
    "A health check tells",
    "1, 2, 3, 4,",
]


def chat_prompt(system: str, user: str) -> str:
    """ChatML as the model's own template writes it; asserted against the template in main()."""
    head = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
    return f"{head}<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"


@torch.no_grad()
def greedy(model, prompt_ids: list[int]) -> dict:
    """Greedy tokens, at most MAX_NEW_TOKENS; an EOS ends the list and is its last element."""
    tokens, logprobs, margins, top = [], [], [], []
    step, cache = torch.tensor([prompt_ids]), None
    while len(tokens) < MAX_NEW_TOKENS:
        answer = model(step, past_key_values=cache, use_cache=True)
        cache = answer.past_key_values
        best = torch.log_softmax(answer.logits[0, -1].float(), -1).topk(TOP)
        if not tokens:
            top = [[int(i), round(float(v), 6)] for v, i in zip(best.values, best.indices)]
        tokens.append(int(best.indices[0]))
        logprobs.append(round(float(best.values[0]), 6))
        margins.append(float(best.values[0] - best.values[1]))
        if tokens[-1] in EOS_TOKEN_IDS:
            break
        step = torch.tensor([[tokens[-1]]])
    return {
        "generatedIds": tokens,
        "endedByEos": tokens[-1] in EOS_TOKEN_IDS,
        "logprobs": logprobs,
        "firstTopLogprobs": top,
        "smallestMargin": round(min(margins), 6),
    }


def main() -> None:
    torch.set_num_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(HERE.parent / "hf")
    model = transformers.AutoModelForCausalLM.from_pretrained(HERE.parent / "hf", dtype=torch.float32).eval()

    prompts = []
    for system, user in CHAT:
        messages = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": user}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert text == chat_prompt(system, user), text
        prompts.append({"kind": "chat", "messages": messages, "prompt": text})
    prompts += [{"kind": "plain", "prompt": text} for text in PLAIN]

    lines = []
    for entry in prompts:
        ids = tokenizer(entry["prompt"], add_special_tokens=False)["input_ids"]
        found = greedy(model, ids)
        # Hugging Face's own loop has to agree with ours, or the numbers are not theirs.
        theirs = model.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=MAX_NEW_TOKENS,
            do_sample=False,
        )[0, len(ids):].tolist()
        assert theirs == found["generatedIds"], (entry["prompt"], theirs, found["generatedIds"])
        text = tokenizer.decode(found["generatedIds"], skip_special_tokens=True)
        lines.append(json.dumps({**entry, "promptIds": ids, **found, "text": text}, ensure_ascii=False))
        print(repr(entry["prompt"][-60:]), "->", repr(text[:60]), found["smallestMargin"])

    versions = {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0], "dtype": "float32"}
    head = json.dumps({**versions, "maxNewTokens": MAX_NEW_TOKENS, "eosTokenIds": EOS_TOKEN_IDS})
    body = ",\n    ".join(lines)
    out = f'{{\n  "made": {head},\n  "prompts": [\n    {body}\n  ]\n}}\n'
    json.loads(out)
    (HERE / "reference-ids.json").write_text(out, encoding="utf-8")


if __name__ == "__main__":
    main()
