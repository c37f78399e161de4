-- Write new rows.
INSERT INTO {table} ({columns}) {rows}
