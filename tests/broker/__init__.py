"""The broker: one suite for fakeredis and a real server."""
