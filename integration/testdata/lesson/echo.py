"""Echo: every datagram goes back, as it is, to who sent it.

usage: echo.py [PORT]    (12315; 0 takes a free one)
"""
import socket
import sys

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", int(sys.argv[1]) if len(sys.argv) > 1 else 12315))
print("serving on port", sock.getsockname()[1], flush=True)
while True:
    try:
        data, sender = sock.recvfrom(65535)
        sock.sendto(data, sender)
    except OSError as error:
        print("error:", error, file=sys.stderr, flush=True)
