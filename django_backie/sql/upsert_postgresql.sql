-- Write mirrored jobs; a row that has seen the same version or a later one stays as it is.
INSERT INTO {table} ({columns}) VALUES {rows}
ON CONFLICT ({id}) DO UPDATE SET {updates}
WHERE {table}.{version} < excluded.{version}
