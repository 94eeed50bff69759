"""Asks a time server for its time: sends one line, which may be empty, and prints the date that comes back.

usage: client.py HOST PORT|SERVICE
"""
import socket
import struct
import sys
import time

SINCE_1900 = 2208988800  # seconds from 1900 to 1970

host, port = sys.argv[1:]
port = int(port) if port.isdigit() else socket.getservbyname(port, "udp")
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((host, port))
sock.send(sys.stdin.readline().rstrip("\n").encode())
reply = sock.recv(1024)
if len(reply) != 4:
    sys.exit(f"a reply of {len(reply)} bytes, want 4: {reply.hex(' ')}")
print(time.ctime(struct.unpack("!I", reply)[0] - SINCE_1900))
