"""HTTP/2 on a socket of the server's own: frames, streams and flow control (RFC 9113)."""
