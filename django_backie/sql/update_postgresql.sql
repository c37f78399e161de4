-- Write what has changed of jobs; a row that has seen the same version or a later one, or has succeeded, stays.
-- The rows are locked in the order of their ids first, so that two mirrors never wait for each other's.
UPDATE {table} SET {updates}
FROM (
    SELECT new.* FROM json_to_recordset(%s) AS new({types})
    JOIN {table} AS old ON old.{id} = new.{id}
    WHERE old.{version} < new.{version} AND (old.{state} <> 'SUCCESSFUL' OR old.{settled})
    ORDER BY old.{id} FOR NO KEY UPDATE OF old
) AS new
WHERE {table}.{id} = new.{id}
