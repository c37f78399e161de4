-- Write mirrored jobs; a row that has seen the same version or a later one stays as it is.
-- Assignments take effect one after the other, so the version, which all others look at, comes last.
INSERT INTO {table} ({columns}) {rows}
ON DUPLICATE KEY UPDATE {updates}
