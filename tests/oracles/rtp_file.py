"""Plays a file of μ-law samples over RTP again and again: rtp_file.py FILE HOST PORT SECONDS.

SIPp plays sound on one media line only; this is the other line.
"""

import pathlib
import socket
import struct
import sys
import time

FRAME = 160


def main(path: str, host: str, port: str, seconds: str) -> None:
    sound = pathlib.Path(path).read_bytes()
    began = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        for number in range(int(seconds) * 50):
            at = number % (len(sound) // FRAME) * FRAME
            header = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * FRAME, 0x0A6E7)
            line.sendto(header + sound[at:at + FRAME], (host, int(port)))
            time.sleep(max(0.0, began + (number + 1) * 0.02 - time.monotonic()))


if __name__ == "__main__":
    main(*sys.argv[1:])
