"""Prints what vLLM's `--convert embed` stands for, as transformers computes it: the last token's hidden state, of length 1.

    python reference_embeddings.py MODEL_FOLDER '[[1, 2], [3]]'
"""

import json
import sys

import torch
from transformers import AutoModel

folder, prompts = sys.argv[1:]
model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
answers = []
with torch.no_grad():
    for ids in json.loads(prompts):
        last = model(torch.tensor([ids])).last_hidden_state[0, -1]
        answers.append((last / last.norm()).tolist())
print(json.dumps(answers))
