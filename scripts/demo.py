# The Python program of the demo: imports a good part of the standard library, prepares a table,
# and then answers one request, a line of JSON on stdin.
import argparse
import collections
import dataclasses
import datetime
import decimal
import email.message
import hashlib
import json
import logging
import random
import re
import statistics
import string
import sys
import urllib.parse
import xml.etree.ElementTree

WORD = re.compile(r"[^\W\d_]+")
DIGESTS = {n: hashlib.sha256(str(n).encode()).hexdigest() for n in range(20_000)}


@dataclasses.dataclass
class Answer:
    words: int
    longest: str
    number: int
    digest: str


def answer(request):
    words = WORD.findall(request["text"])
    number = int(request["number"])
    longest = max(words, key=len, default="")
    return Answer(len(words), longest, number, DIGESTS[number % len(DIGESTS)][:16])


print("ready:", len(sys.modules) > 50, len(DIGESTS), "digests", flush=True)
line = sys.stdin.readline()
print(json.dumps(dataclasses.asdict(answer(json.loads(line)))), flush=True)
