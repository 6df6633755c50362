"""Prints the addresses of each name in their order, `none` where there is none."""

import socket
import sys

NONE = (socket.EAI_NONAME, socket.EAI_NODATA)

for name in sys.argv[1:]:
    try:
        found = dict.fromkeys(entry[4][0] for entry in socket.getaddrinfo(name, None))
    except socket.gaierror as error:
        found = {"none" if error.errno in NONE else str(error)}
    print(name, *found)
