"""Answers the token ids of prompts, as JSON: python tokenize_prompts.py TOKENIZER_JSON PROMPTS.

PROMPTS is a JSON list. An entry is a text, or {"template", "messages", "tools"}: a conversation that is rendered first, with
Jinja set up as Hugging Face transformers does it (utils/chat_template_utils.py of 4.57: sandboxed, blocks trimmed, JSON
neither sorted nor escaped), and with the arguments of tool calls parsed, as vLLM hands them over.
"""

import json
import sys

from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

SPECIAL = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|pad|>"}


def refuse(message):
    raise TemplateError(message)


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def render(template, messages, tools=None):
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = refuse
    for message in messages:
        for call in message.get("tool_calls") or []:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    compiled = environment.from_string(template)
    return compiled.render(messages=messages, tools=tools, documents=None, add_generation_prompt=True, **SPECIAL)


tokenizer = Tokenizer.from_file(sys.argv[1])
texts = [prompt if isinstance(prompt, str) else render(**prompt) for prompt in json.loads(sys.argv[2])]
print(json.dumps([tokenizer.encode(text, add_special_tokens=False).ids for text in texts]))
