-- Write rows; what is there already stays as it is.
INSERT INTO {table} ({columns}) {rows}
ON CONFLICT DO NOTHING
