# SPDX-License-Identifier: LGPL-2.1-or-later
# As hold.pl. hashlib brings in libcrypto, whose relocated data is the library's own written memory.
import hashlib
import os
import sys


def content(name):
    data = bytearray(os.path.getsize(name))
    with open(name, "rb", buffering=0) as file:
        if file.readinto(data) != len(data):
            sys.exit(f"{name}: cannot be read whole")
    return data


def change(data):
    for at in range(100, len(data), 16 * 4096):
        data[at] ^= 255


def digest(data):
    return hashlib.sha256(data).hexdigest()


held = [(name, content(name)) for name in sys.argv[1:]]
digests = {name: digest(data) for name, data in held}
written = False
print("ready", flush=True)
for line in sys.stdin:
    if line == "write\n":
        for name, data in held:
            change(data)
        written = not written
    wrong = []
    for name, data in held:
        expected = content(name)
        unchanged = digest(expected) == digests[name]
        if written:
            change(expected)
        if not unchanged or data != expected:
            wrong.append(name)
    print("differs: " + " ".join(wrong) if wrong else "same", flush=True)
