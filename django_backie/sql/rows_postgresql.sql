-- All rows, out of one JSON text.
SELECT {columns} FROM json_to_recordset(%s) AS new({types})
