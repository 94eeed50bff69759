"""Yesterday's time: any datagram is answered with four bytes, the seconds from 1900 to 24 hours ago.

usage: server.py [PORT]    (12345; 0 takes a free one)
"""
import socket
import struct
import sys
import time

SINCE_1900 = 2208988800  # seconds from 1900 to 1970
DAY = 24 * 60 * 60

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", int(sys.argv[1]) if len(sys.argv) > 1 else 12345))
print("serving on port", sock.getsockname()[1], flush=True)
while True:
    try:
        data, sender = sock.recvfrom(1024)
        print("request from", sender[0], "port", sender[1], flush=True)
        sock.sendto(struct.pack("!I", int(time.time()) - DAY + SINCE_1900 & 0xFFFFFFFF), sender)
    except OSError as error:
        print("error:", error, file=sys.stderr, flush=True)
