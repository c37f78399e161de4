-- Write what has changed of a job; a row that has seen the same version or a later one, or has succeeded, stays.
UPDATE {table} SET {updates}
WHERE {id} = %(id)s AND {version} < %(version)s AND ({state} <> 'SUCCESSFUL' OR {settled})
