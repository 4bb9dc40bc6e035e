#!/usr/bin/env python3
"""no_heap.py PROGRAM: a whole node of our core asks nobody for memory; its undefined symbols show it."""
import subprocess
import sys

HEAP = {"malloc", "calloc", "realloc", "reallocarray", "free", "strdup", "strndup", "aligned_alloc", "posix_memalign", "mmap", "sbrk", "asprintf", "getline", "fopen", "printf", "getaddrinfo"}

result = subprocess.run(["nm", "--undefined-only", "--dynamic", "--format=posix", sys.argv[1]], capture_output=True, text=True, check=True)
names = {line.split()[0].split("@")[0] for line in result.stdout.splitlines()}
if "poll" not in names:
    sys.exit(f"{sys.argv[1]} does not even call poll(): wrong file?")
if names & HEAP:
    sys.exit(f"{sys.argv[1]} calls {', '.join(sorted(names & HEAP))}")
sizes = subprocess.run([sys.argv[1], "size"], capture_output=True, text=True, check=True).stdout
print(sizes.strip())
