"""The Redis side: queues, leases and job records. The only package that imports redis."""
