"""What one Redis, one job table and the admin carry: measured on servers and databases of their own."""
