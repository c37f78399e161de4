-- Write mirrored jobs; a row that has seen the same version or a later one, or has succeeded, stays as it is.
INSERT INTO {table} ({columns}) {rows}
ON CONFLICT ({id}) DO UPDATE SET {updates}
WHERE {table}.{version} < excluded.{version} AND ({table}.{state} <> 'SUCCESSFUL' OR {table}.{settled})
