"""Prints how many tokens each text has in a tokenizer: python count_tokens.py TOKENIZER_JSON TEXT..."""

import json
import sys

from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1])
print(json.dumps([len(tokenizer.encode(text, add_special_tokens=False).ids) for text in sys.argv[2:]]))
